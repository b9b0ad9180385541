//! Copies the contents of a file: by reflink where the file system can, otherwise with its holes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;

/// Files up to this size are read and written at once, in bytes; for more, the kernel copies.
const SMALL: u64 = 64 << 10;
/// What `st_blocks` counts in, in bytes (stat(2)).
const BLOCK: u64 = 512;

/// Copies the contents of a file to another, new and empty one. Returns the number of bytes copied: 0 for a reflink.
///
/// # Errors
/// Of ioctl_ficlone(2), copy_file_range(2), read(2) or write(2).
pub fn copy_contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<u64> {
    let (mut from, mut to) = (File::from(from.try_clone_to_owned()?), File::from(to.try_clone_to_owned()?));
    let status = from.metadata()?;
    let (size, allocated) = (status.len(), std::os::unix::fs::MetadataExt::blocks(&status) * BLOCK);
    if size <= SMALL && allocated >= size {
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
        from.read_to_end(&mut bytes)?;
        to.write_all(&bytes)?;
        return Ok(bytes.len() as u64);
    }
    #[cfg(target_os = "linux")]
    if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
        return Ok(0);
    }
    if allocated >= size {
        return io::copy(&mut from, &mut to);
    }
    copy_data(&mut from, &mut to, size)
}

/// Copies the data between holes.
#[cfg(target_os = "linux")]
fn copy_data(from: &mut File, to: &mut File, size: u64) -> io::Result<u64> {
    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;
    let (mut at, mut copied) = (0, 0);
    while at < size {
        let data = match seek(&*from, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => break,
            // A file system that does not tell.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => at,
            data => data?,
        };
        let hole = seek(&*from, SeekFrom::Hole(data)).unwrap_or(size);
        seek(&*from, SeekFrom::Start(data))?;
        seek(&*to, SeekFrom::Start(data))?;
        let piece = io::copy(&mut from.take(hole.saturating_sub(data)), to)?;
        copied += piece;
        if piece == 0 {
            // It was shortened meanwhile.
            break;
        }
        at = data + piece;
    }
    to.set_len(size)?;
    Ok(copied)
}

#[cfg(not(target_os = "linux"))]
fn copy_data(from: &mut File, to: &mut File, _: u64) -> io::Result<u64> {
    io::copy(from, to)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::{Seek, SeekFrom};
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn copied(fill: impl Fn(&mut File)) -> (std::fs::Metadata, std::fs::Metadata, bool) {
        let place = tempfile::tempdir().unwrap();
        let (from, to) = (place.path().join("from"), place.path().join("to"));
        let mut file = File::create(&from).unwrap();
        fill(&mut file);
        let opened = File::open(&from).unwrap();
        let new = OpenOptions::new().write(true).create_new(true).open(&to).unwrap();
        copy_contents(opened.as_fd(), new.as_fd()).unwrap();
        let same = std::fs::read(&from).unwrap() == std::fs::read(&to).unwrap();
        (from.metadata().unwrap(), to.metadata().unwrap(), same)
    }

    #[test]
    fn files_of_every_size_are_copied() {
        for size in [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL + 7] {
            let bytes: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
            let (.., same) = copied(|file| file.write_all(&bytes).unwrap());
            assert!(same, "{size} bytes");
        }
    }

    #[test]
    fn holes_stay_holes() {
        let (from, to, same) = copied(|file| {
            for place in [1_u64 << 20, 5 << 20] {
                file.seek(SeekFrom::Start(place)).unwrap();
                file.write_all(b"data between holes").unwrap();
            }
            file.set_len(8 << 20).unwrap();
        });
        assert!(same && from.len() == to.len());
        assert!(to.blocks() <= from.blocks() + 64, "{} blocks instead of {}", to.blocks(), from.blocks());
    }
}
