//! The steps as system calls, name by name from the top, through no link.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use nfs3_types::nfs3::nfsstat3;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat, renameat};
use nix::libc::{S_IFDIR, S_IFLNK, S_IFMT};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, fchmodat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, ftruncate, linkat, symlinkat, unlinkat};

use super::{Attributes, Given, Place, Step};

/// A directory of the host.
pub struct System {
    top: OwnedFd,
}

type Done<T> = Result<T, nfsstat3>;

/// As RFC 1813 names it.
fn named(errno: Errno) -> nfsstat3 {
    match errno {
        Errno::EPERM => nfsstat3::NFS3ERR_PERM,
        Errno::ENOENT => nfsstat3::NFS3ERR_NOENT,
        Errno::EEXIST => nfsstat3::NFS3ERR_EXIST,
        // A link on the way, which is not followed.
        Errno::ENOTDIR | Errno::ELOOP => nfsstat3::NFS3ERR_NOTDIR,
        Errno::EISDIR => nfsstat3::NFS3ERR_ISDIR,
        Errno::EINVAL => nfsstat3::NFS3ERR_INVAL,
        Errno::ENOTEMPTY => nfsstat3::NFS3ERR_NOTEMPTY,
        other => panic!("nobody expects {other}"),
    }
}

fn nothing(done: nix::Result<()>) -> Done<Given> {
    done.map(|()| Given::Nothing).map_err(named)
}

fn plain(error: &io::Error) -> nfsstat3 {
    named(Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

impl System {
    pub fn new(top: &Path) -> System {
        System { top: File::open(top).unwrap().into() }
    }

    /// The directory of a path, and the name there, which may be new.
    fn at<'p>(&self, path: &[&'p str]) -> Done<(OwnedFd, &'p str)> {
        let (name, above) = path.split_last().expect("a path has names");
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut directory = self.top.try_clone().unwrap();
        for name in above {
            directory = openat(&directory, *name, flags, Mode::empty()).map_err(named)?;
        }
        Ok((directory, name))
    }

    fn status(&self, path: &[&str]) -> Done<FileStat> {
        let (directory, name) = self.at(path)?;
        fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(named)
    }

    /// A file to read or write. What is none is told as NFS tells it.
    fn open(&self, path: &[&str]) -> Done<File> {
        match self.status(path)?.st_mode & S_IFMT {
            S_IFDIR => return Err(nfsstat3::NFS3ERR_ISDIR),
            S_IFLNK => return Err(nfsstat3::NFS3ERR_INVAL),
            _ => {}
        }
        let (directory, name) = self.at(path)?;
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(directory, name, flags, Mode::empty()).map(File::from).map_err(named)
    }

    fn make(&self, path: &[&str]) -> Done<Given> {
        let (directory, name) = self.at(path)?;
        let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let made = openat(directory, name, flags, Mode::from_bits_truncate(0o644));
        nothing(made.map(drop))
    }

    fn list(&self, path: &[&str]) -> Done<Given> {
        let (directory, name) = self.at(path)?;
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut opened = Dir::openat(directory.as_fd(), name, flags, Mode::empty()).map_err(named)?;
        let names = opened.iter().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name != "." && name != "..").collect();
        names.sort();
        Ok(Given::Names(names))
    }

    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_fallible_conversions,
        reason = "modes and counts of links have other widths elsewhere"
    )]
    fn look(&self, path: &[&str]) -> Done<Given> {
        let status = self.status(path)?;
        let (size, mode) = (status.st_size.cast_unsigned(), u32::from(status.st_mode) & 0o7777);
        let links = u32::try_from(status.st_nlink).unwrap();
        Ok(Given::Attributes(match status.st_mode & S_IFMT {
            S_IFDIR => Attributes::Directory { mode },
            S_IFLNK => Attributes::Symlink { size, links },
            _ => Attributes::File { size, links, mode },
        }))
    }
}

impl Place for System {
    #[allow(clippy::useless_conversion, reason = "other systems have shorter modes")]
    fn take(&mut self, step: &Step) -> Done<Given> {
        match step {
            Step::Create(path) => self.make(path),
            Step::MakeDirectory(path) => {
                let (directory, name) = self.at(path)?;
                nothing(mkdirat(directory, name, Mode::from_bits_truncate(0o755)))
            }
            Step::MakeSymlink(path, target) => {
                let (directory, name) = self.at(path)?;
                nothing(symlinkat(*target, directory, name))
            }
            Step::Remove(path) => {
                let (directory, name) = self.at(path)?;
                nothing(unlinkat(directory, name, UnlinkatFlags::NoRemoveDir))
            }
            Step::RemoveDirectory(path) => {
                let (directory, name) = self.at(path)?;
                nothing(unlinkat(directory, name, UnlinkatFlags::RemoveDir))
            }
            Step::Link(from, to) => {
                self.status(from)?;
                let ((old, from), (new, to)) = (self.at(from)?, self.at(to)?);
                nothing(linkat(old, from, new, to, AtFlags::empty()))
            }
            Step::Rename(from, to) => {
                let ((old, from), (new, to)) = (self.at(from)?, self.at(to)?);
                nothing(renameat(old, from, new, to))
            }
            Step::Write(path, offset, bytes) => {
                let written = self.open(path)?.write_all_at(bytes, (*offset).into());
                written.map(|()| Given::Nothing).map_err(|error| plain(&error))
            }
            Step::Truncate(path, size) => nothing(ftruncate(self.open(path)?, (*size).into())),
            Step::Mode(path, mode) => {
                if self.status(path)?.st_mode & S_IFMT == S_IFLNK {
                    return Ok(Given::Nothing);
                }
                let (directory, name) = self.at(path)?;
                let mode = Mode::from_bits_truncate((*mode).into());
                nothing(fchmodat(directory, name, mode, FchmodatFlags::FollowSymlink))
            }
            Step::Read(path, offset, count) => {
                let (file, mut bytes) = (self.open(path)?, vec![0; (*count).into()]);
                let read = file.read_at(&mut bytes, (*offset).into()).map_err(|error| plain(&error))?;
                bytes.truncate(read);
                Ok(Given::Bytes(bytes))
            }
            Step::ReadLink(path) => {
                let (directory, name) = self.at(path)?;
                let target = readlinkat(directory, name).map_err(named)?;
                Ok(Given::Target(target.to_string_lossy().into()))
            }
            Step::List(path) => self.list(path),
            Step::Look(path) => self.look(path),
        }
    }
}
