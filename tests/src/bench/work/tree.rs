//! A tree of the shape of a toolchain's: 20,000 files, 200 MB. Always the same.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::dir::{Dir, Type};
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fstatat};

use super::large_file::Noise;

/// Files in the tree.
const FILES: usize = 20_000;
/// Files in one directory; a directory holds further directories too.
pub const FILES_IN_DIRECTORY: usize = 40;
/// Directories in one directory.
const DIRECTORIES_IN_DIRECTORY: usize = 8;
/// Bytes in all files.
const BYTES: u64 = 200_000_000;
/// The largest files are 2 to the power of this times as large as the smallest, which are every other one.
const LARGEST: u32 = 8;
/// What is read at a time.
const PIECE: usize = 64 << 10;

/// Makes the tree.
pub fn make(at: &Path) -> Result<()> {
    let mut noise = Noise::new(1);
    let sizes = sizes();
    let mut contents = vec![0; sizes.iter().copied().max().unwrap_or(0)];
    noise.fill(&mut contents);
    let mut directories = vec![at.to_owned()];
    fs::create_dir_all(at).with_context(|| format!("cannot create {}", at.display()))?;
    for (number, files) in sizes.chunks(FILES_IN_DIRECTORY).enumerate() {
        let directory = directories[number].clone();
        for (number, size) in files.iter().enumerate() {
            let start = noise.below(contents.len() - size + 1);
            let file = directory.join(file_name(number));
            fs::write(&file, &contents[start..start + size])
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        for below in 0..DIRECTORIES_IN_DIRECTORY {
            if directories.len() * FILES_IN_DIRECTORY >= FILES {
                break;
            }
            let below = directory.join(directory_name(below));
            fs::create_dir(&below)?;
            directories.push(below);
        }
    }
    Ok(())
}

/// The name of a file in its directory.
pub fn file_name(number: usize) -> String {
    format!("source-file-{number}.h")
}

/// The name of a directory in the one above it.
pub fn directory_name(number: usize) -> String {
    format!("directory-{number}")
}

/// What `find -type f` does.
pub fn find(tree: &Path) -> Result<()> {
    let mut files = 0;
    walk(open(tree)?, &mut |_, names| {
        files += names.len();
        Ok(())
    })?;
    if files != FILES {
        bail!("{files} files were found, not {FILES}");
    }
    Ok(())
}

/// What `tar -c` does with a tree: looks at each file and reads it.
pub fn tar(tree: &Path) -> Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut bytes = 0;
    walk(open(tree)?, &mut |directory, names| {
        for name in names {
            fstatat(directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let mut file = File::from(openat(directory, name.as_c_str(), flags, Mode::empty())?);
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    read => bytes += read as u64,
                }
            }
        }
        Ok(())
    })?;
    if bytes != BYTES {
        bail!("{bytes} bytes were read, not {BYTES}");
    }
    Ok(())
}

/// Sizes as they are in a toolchain: most files are small, and those of every size take as much room together.
fn sizes() -> Vec<usize> {
    let mut noise = Noise::new(2);
    let weights: Vec<u64> = (0..FILES).map(|_| 1 << noise.number().trailing_zeros().min(LARGEST)).collect();
    let all: u64 = weights.iter().sum();
    let mut sizes: Vec<u64> = weights.iter().map(|weight| BYTES * weight / all).collect();
    let rounded_off = BYTES - sizes.iter().sum::<u64>();
    sizes[0] += rounded_off;
    sizes.into_iter().map(|size| size as usize).collect()
}

/// Gives the names of the files in each directory below and including the first.
fn walk(directory: OwnedFd, take: &mut dyn FnMut(&Dir, &[CString]) -> Result<()>) -> Result<()> {
    let mut directory = Dir::from_fd(directory)?;
    let (mut files, mut below) = (Vec::new(), Vec::new());
    let mut unknown = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type() {
            _ if is_dots(name) => {}
            Some(Type::Directory) => below.push(name.to_owned()),
            Some(_) => files.push(name.to_owned()),
            None => unknown.push(name.to_owned()),
        }
    }
    // The server told the names alone.
    for name in unknown {
        let stat = fstatat(&directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let list = if stat.st_mode & libc::S_IFMT == libc::S_IFDIR { &mut below } else { &mut files };
        list.push(name);
    }
    take(&directory, &files)?;
    for name in below {
        fstatat(&directory, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        walk(openat(&directory, name.as_c_str(), flags, Mode::empty())?, take)?;
    }
    Ok(())
}

fn open(directory: &Path) -> Result<OwnedFd> {
    let file = File::open(directory).with_context(|| format!("cannot open {}", directory.display()))?;
    Ok(file.into())
}

fn is_dots(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_add_up_and_differ() {
        let mut sizes = sizes();
        assert_eq!(sizes.len(), FILES);
        assert_eq!(sizes.iter().sum::<usize>() as u64, BYTES);
        sizes.sort_unstable();
        let median = sizes[FILES / 2];
        assert!(median < 10_000, "{median}");
        assert!(sizes[FILES - 1] > 20 * median);
    }
}
