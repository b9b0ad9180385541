//! Programs for a Mac, as far as it matters whether one starts there: their processor, the oldest system, and the signature that
//! every kind with Apple's own processor asks for.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use goblin::container::Endian;
use goblin::mach::load_command::{CommandVariant, LoadCommand};
use sha2::{Digest, Sha256};

/// What a program of 64 bits starts with (`MH_MAGIC_64` of `mach-o/loader.h`); its processor's number follows.
const MAGIC: u32 = 0xfeed_facf;
/// The numbers of its header (`mach_header_64`); the fifth is how many load commands follow.
const HEADER: usize = 8;
const COMMANDS: usize = 4;
/// The most that is read of a program for its load commands, in bytes: far more than they take.
const BEGINNING_MAX: u64 = 1 << 16;
/// `CPU_TYPE_ARM64` and `CPU_TYPE_X86_64` of `mach/machine.h`, with rustc's names of them.
const PROCESSORS: [(u32, &str); 2] = [(0x0100_000c, "aarch64"), (0x0100_0007, "x86_64")];

/// The magic numbers of a signature and of the directory of hashes in it, the kind of hash and the flag of a signature by nobody, which
/// names no certificate (`CSMAGIC_EMBEDDED_SIGNATURE`, `CSMAGIC_CODEDIRECTORY`, `CS_HASHTYPE_SHA256` and `CS_ADHOC` of
/// `kern/cs_blobs.h`).
const SIGNATURE: u32 = 0xfade_0cc0;
const DIRECTORY: u32 = 0xfade_0c02;
const SHA256: u8 = 2;
const ADHOC: u32 = 2;
/// The place of the directory of hashes among the parts of a signature (`CSSLOT_CODEDIRECTORY`).
const DIRECTORY_SLOT: u32 = 0;

/// The processor whose programs all have to be signed.
pub const SIGNED: &str = "aarch64";

/// What the first load commands tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// As rustc calls it.
    pub processor: &'static str,
    /// The oldest macOS that it starts on, as major and minor version (`LC_BUILD_VERSION`).
    pub oldest: Option<(u32, u32)>,
    /// Where its signature begins and how long it is, in bytes (`LC_CODE_SIGNATURE`).
    signature: Option<(usize, usize)>,
}

impl Program {
    /// Reads the beginning of a file.
    pub fn open(path: &Path) -> Result<Program> {
        let mut beginning = Vec::new();
        let read = File::open(path).and_then(|file| file.take(BEGINNING_MAX).read_to_end(&mut beginning));
        read.with_context(|| format!("cannot read {}", path.display()))?;
        Program::parse(&beginning).with_context(|| format!("{} is no program for a Mac", path.display()))
    }

    /// Looks at the beginning of a program.
    fn parse(program: &[u8]) -> Option<Program> {
        let (numbers, _) = program.as_chunks::<4>();
        let header = numbers.first_chunk::<HEADER>()?.map(u32::from_le_bytes);
        let (magic, processor) = (header[0], header[1]);
        let (_, processor) = PROCESSORS.into_iter().find(|(number, _)| *number == processor)?;
        if magic != MAGIC {
            return None;
        }
        let mut found = Program { processor, oldest: None, signature: None };
        let mut at = HEADER * 4;
        for _ in 0..header[COMMANDS] {
            match LoadCommand::parse(program, &mut at, Endian::Little).ok()?.command {
                CommandVariant::BuildVersion(version) => {
                    found.oldest = Some((version.minos >> 16, version.minos >> 8 & 0xff));
                }
                CommandVariant::CodeSignature(place) => {
                    found.signature = Some((place.dataoff as usize, place.datasize as usize));
                }
                _ => {}
            }
        }
        Some(found)
    }
}

/// Checks the signature of a whole program: it is by nobody, as a linker makes it, and the hash of every page before it is right.
pub fn check_signature(program: &[u8]) -> Result<()> {
    let (start, length) = Program::parse(program)
        .context("no program for a Mac")?
        .signature
        .context("the program is not signed")?;
    let signature = program.get(start..).and_then(|rest| rest.get(..length));
    let signature = signature.context("the signature is outside of the program")?;
    ensure!(number(signature, 0)? == SIGNATURE, "the signature does not begin as one does");
    let slots = (0..number(signature, 8)? as usize).map(|slot| 12 + slot * 8);
    let mut directories = slots.filter(|at| number(signature, *at).ok() == Some(DIRECTORY_SLOT));
    let at = directories.next().context("the signature has no directory of hashes")?;
    let directory = signature.get(number(signature, at + 4)? as usize..).unwrap_or_default();
    ensure!(number(directory, 0)? == DIRECTORY, "the directory of hashes does not begin as one does");
    ensure!(number(directory, 12)? & ADHOC != 0, "the signature is somebody's");
    check_pages(program, start, directory)
}

/// Compares the hashes in a directory (`CS_CodeDirectory`) with those of the pages before the signature.
fn check_pages(program: &[u8], start: usize, directory: &[u8]) -> Result<()> {
    let (hashes, count, limit) =
        (number(directory, 16)?, number(directory, 28)? as usize, number(directory, 32)? as usize);
    let &[length, kind, _, page] = directory.get(36..40).context("the directory of hashes is cut short")?
    else {
        unreachable!("four bytes are four bytes");
    };
    ensure!((kind, usize::from(length)) == (SHA256, Sha256::output_size()), "the hashes are no SHA-256");
    ensure!(limit == start, "the hashes are about {limit} bytes, and the signature is after {start}");
    let pages = program[..limit].chunks(1 << page);
    ensure!(pages.len() == count, "{count} hashes for {} pages", pages.len());
    let hashes = directory.get(hashes as usize..).unwrap_or_default().chunks_exact(length.into());
    ensure!(hashes.len() >= count, "the directory of hashes is cut short");
    for (number, (page, hash)) in pages.zip(hashes).enumerate() {
        ensure!(
            Sha256::digest(page).as_slice() == hash,
            "page {number} has another hash than the signature says"
        );
    }
    Ok(())
}

/// A number of a signature: all have the order of bytes of a network.
fn number(bytes: &[u8], at: usize) -> Result<u32> {
    let four = bytes.get(at..).and_then(<[u8]>::first_chunk).context("the signature is cut short")?;
    Ok(u32::from_be_bytes(*four))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: u32 = 0x1b;
    const CODE_SIGNATURE: u32 = 0x1d;
    const BUILD_VERSION: u32 = 0x32;
    /// Two pages of 64 bytes, the second not whole.
    const CODE: usize = 100;
    const PAGE: u8 = 6;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn unsigned() -> Vec<u8> {
        let header = [MAGIC, 0x0100_000c, 0, 2, 2, 48, 0, 0];
        let commands = [UUID, 24, 1, 2, 3, 4, BUILD_VERSION, 24, 1, 0x000c_0300, 0x000f_0000, 0];
        words(&[header.as_slice(), &commands].concat())
    }

    /// A program with code after its load commands, and the signature of a linker.
    fn signed() -> Vec<u8> {
        let header = [MAGIC, 0x0100_000c, 0, 2, 1, 16, 0, 0];
        let length: u32 = 20 + 44 + 64;
        let mut program = words(&[header.as_slice(), &[CODE_SIGNATURE, 16, CODE as u32, length]].concat());
        program.resize(CODE, 7);
        let hashes: Vec<u8> =
            program.chunks(1 << PAGE).flat_map(|page| Sha256::digest(page).to_vec()).collect();
        let big = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        program.extend(big(&[SIGNATURE, length, 1, DIRECTORY_SLOT, 20]));
        program.extend(big(&[DIRECTORY, 108, 0x20400, 0x20002, 44, 0, 0, 2, CODE as u32]));
        program.extend([32, SHA256, 0, PAGE, 0, 0, 0, 0]);
        program.extend(hashes);
        program
    }

    #[test]
    fn a_program_says_what_it_needs() {
        let program = unsigned();
        let expected = Program { processor: "aarch64", oldest: Some((12, 3)), signature: None };
        assert_eq!(Program::parse(&program), Some(expected));
        assert_eq!(Program::parse(&program[..60]), None);
        assert_eq!(Program::parse(b"#!/bin/sh"), None);
        let other = [&words(&[MAGIC, 18]), &program[8..]].concat();
        assert_eq!(Program::parse(&other), None);
    }

    #[test]
    fn a_signature_is_compared_with_every_page() {
        check_signature(&signed()).unwrap();
        let refused = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut program = signed();
            change(&mut program);
            check_signature(&program).unwrap_err().to_string()
        };
        assert_eq!(refused(&|program| program[60] = 8), "page 0 has another hash than the signature says");
        assert_eq!(refused(&|program| program[99] = 8), "page 1 has another hash than the signature says");
        assert_eq!(
            refused(&|program| program.truncate(CODE + 60)),
            "the signature is outside of the program"
        );
        assert_eq!(refused(&|program| program[CODE] = 0), "the signature does not begin as one does");
        assert_eq!(
            refused(&|program| program[CODE + 20] = 0),
            "the directory of hashes does not begin as one does"
        );
        assert_eq!(refused(&|program| program[CODE + 15] = 9), "the signature has no directory of hashes");
        assert_eq!(refused(&|program| program[CODE + 35] = 0), "the signature is somebody's");
        assert_eq!(refused(&|program| program[CODE + 57] = 1), "the hashes are no SHA-256");
        assert_eq!(refused(&|program| program[CODE + 51] = 3), "3 hashes for 2 pages");
        assert_eq!(
            refused(&|program| program[CODE + 55] -= 1),
            "the hashes are about 99 bytes, and the signature is after 100"
        );
        assert_eq!(check_signature(&unsigned()).unwrap_err().to_string(), "the program is not signed");
    }
}
