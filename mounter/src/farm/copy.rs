//! Copies of files that cannot be linked: clones, where the file system has them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{self, FileStat, Mode, SFlag, UtimensatFlags};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid};

use super::{kind, mode_of};
use crate::copy_contents;

/// A source, and where its link goes: each a name in an open directory.
pub(super) struct Names<'a> {
    pub from: BorrowedFd<'a>,
    pub source: &'a OsStr,
    pub to: BorrowedFd<'a>,
    pub name: &'a OsStr,
}

/// Copies a regular file with its attributes, and says how many bytes that took.
pub(super) fn file(names: &Names<'_>, status: &FileStat) -> io::Result<u64> {
    if kind(status) != SFlag::S_IFREG {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "neither a plain file nor a directory nor a link",
        ));
    }
    // Should it have become a FIFO, this does not wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let from = openat(names.from, names.source, flags, Mode::empty())?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    #[cfg(target_os = "macos")]
    if rustix::fs::fclonefileat(&from, names.to, names.name, rustix::fs::CloneFlags::empty()).is_ok() {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let to = openat(names.to, names.name, flags, Mode::empty())?;
        return attributes(&to, status).map(|()| 0);
    }
    let to = openat(names.to, names.name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
    let copied = copy_contents(from.as_fd(), to.as_fd())?;
    attributes(&to, status).map(|()| copied)
}

/// Owner, mode and times of a source, without set-id bits. The times come last, as the others change them.
pub(super) fn attributes(to: impl AsFd, status: &FileStat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    nix::unistd::fchown(&to, Some(uid), Some(gid))?;
    stat::fchmod(&to, mode_of(status.st_mode))?;
    let (accessed, modified) = times(status);
    Ok(stat::futimens(&to, &accessed, &modified)?)
}

/// The same for a symbolic link, which has no mode of its own.
pub(super) fn link_attributes(
    holder: BorrowedFd<'_>,
    name: &std::ffi::OsStr,
    status: &FileStat,
) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    nix::unistd::fchownat(holder, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let (accessed, modified) = times(status);
    Ok(stat::utimensat(holder, name, &accessed, &modified, UtimensatFlags::NoFollowSymlink)?)
}

fn times(status: &FileStat) -> (TimeSpec, TimeSpec) {
    (
        TimeSpec::new(status.st_atime, status.st_atime_nsec),
        TimeSpec::new(status.st_mtime, status.st_mtime_nsec),
    )
}
