//! Finds writes that failed without any process having seen the error.
//!
//! syncfs(2) tells of every write that failed since its descriptor was opened: of those too that a program was told of
//! and coped with, and of files that are gone by now. But an error that nobody has heard of is told to whoever opens the
//! file next (`errseq_sample` in `lib/errseq.c`, fsync(2)), so each file that is there is asked.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, fsync, openat2, statat};
use rustix::io::Errno;

/// Files and directories that are looked at, and so the memory that it takes: more than any build makes. Beyond them what
/// syncfs(2) says stands.
const LOOKED_AT_MAX: usize = 1 << 20;

/// The first error of a file below this directory, on the same mount, that nobody was told of.
///
/// # Errors
/// If not everything can be looked at.
pub(super) fn first(root: &File) -> io::Result<Option<io::Error>> {
    let mut directories = vec![PathBuf::from(".")];
    let mut looked_at = 0;
    while let Some(directory) = directories.pop() {
        let Some(opened) = open(root, &directory, OFlags::DIRECTORY)? else { continue };
        for entry in Dir::new(opened)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            looked_at += 1;
            if looked_at > LOOKED_AT_MAX {
                return Err(io::Error::other("there are too many files"));
            }
            let path = directory.join(name);
            match kind(root, &path, entry.file_type())? {
                FileType::Directory => directories.push(path),
                FileType::RegularFile => {
                    let file = open(root, &path, OFlags::NONBLOCK)?;
                    if let Some(Err(error)) = file.map(fsync) {
                        return Ok(Some(error.into()));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(None)
}

/// What a name leads to; the listing need not say.
fn kind(root: &File, path: &Path, listed: FileType) -> io::Result<FileType> {
    if listed != FileType::Unknown {
        return Ok(listed);
    }
    match statat(root, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode)),
        Err(Errno::NOENT) => Ok(FileType::Unknown),
        Err(errno) => Err(errno.into()),
    }
}

/// None if it is gone, or if something else is there by now.
fn open(root: &File, path: &Path, flags: OFlags) -> io::Result<Option<OwnedFd>> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let stay = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match openat2(root, path, flags, Mode::empty(), stay) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::XDEV) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_nothing_failed_every_file_is_asked_and_none_says_so() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b/c")).unwrap();
        for name in ["file", "a/file", "a/b/c/file"] {
            std::fs::write(place.path().join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("/", place.path().join("a/link")).unwrap();
        nix::unistd::mkfifo(&place.path().join("a/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(first(&File::open(place.path()).unwrap()).unwrap().is_none());
    }
}
