//! A file of 500 MB: written, read from the start to the end, and read in pieces.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes in the file.
pub const BYTES: u64 = 500_000_000;
/// What is written and read at a time, by the work that goes from start to end.
const PIECE: usize = 1 << 20;
/// What is read at a time here and there.
const PAGE: usize = 4096;
/// How many pages one thread reads when it is alone.
const PAGES_ALONE: usize = 4000;
/// How many pages each of several threads reads.
const PAGES_TOGETHER: usize = 1000;

/// Writes it and waits until it is written.
pub fn write(path: &Path) -> Result<()> {
    let mut noise = Noise::new(3);
    let mut piece = vec![0; PIECE];
    noise.fill(&mut piece);
    let mut file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    let mut left = BYTES;
    while left > 0 {
        let count = piece.len().min(usize::try_from(left)?);
        file.write_all(&piece[..count])?;
        left -= count as u64;
    }
    file.sync_all().with_context(|| format!("cannot write {}", path.display()))
}

/// Reads it to its end.
pub fn read(path: &Path) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut piece = vec![0; PIECE];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece).with_context(|| format!("cannot read {}", path.display()))? {
            0 => break,
            read => bytes += read as u64,
        }
    }
    if bytes != BYTES {
        bail!("{bytes} bytes were read, not {BYTES}");
    }
    Ok(())
}

/// Reads pages here and there, by some threads at once.
pub fn random(path: &Path, threads: usize) -> Result<()> {
    let pages = if threads == 1 { PAGES_ALONE } else { PAGES_TOGETHER };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..threads)
            .map(|number| scope.spawn(move || read_pages(path, pages, 10 + number as u64)))
            .collect();
        readers.into_iter().try_for_each(|reader| match reader.join() {
            Ok(result) => result,
            Err(_) => bail!("a reading thread panicked"),
        })
    })
}

fn read_pages(path: &Path, pages: usize, seed: u64) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    // Else the client reads what lies around a page too.
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM)?;
    let mut noise = Noise::new(seed);
    let mut page = [0; PAGE];
    for _ in 0..pages {
        let page_number = noise.below(usize::try_from(BYTES)? / PAGE);
        file.read_exact_at(&mut page, (page_number * PAGE) as u64)
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

/// Numbers that look random and are the same every time (xorshift64*).
pub struct Noise(u64);

impl Noise {
    /// A sequence of its own for every number.
    pub fn new(seed: u64) -> Noise {
        Noise(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below another, which is not 0.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    /// Fills bytes.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let number = self.number().to_le_bytes();
            piece.copy_from_slice(&number[..piece.len()]);
        }
    }
}
