//! Host files, always reached from an open directory by one name and never through a symbolic link.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode};

/// A directory opened only to reach what is in it.
#[cfg(target_os = "linux")]
const SEARCH: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const SEARCH: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A file opened for its data. `O_NONBLOCK` because the host may have put a FIFO where a file was.
const DATA: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// Bytes read of a directory at a time, as much as the C library's readdir(3) does.
#[cfg(target_os = "linux")]
const DIRECTORY_BUFFER: usize = 32 << 10;

/// Opens the root of the host.
pub(crate) fn open_root() -> Result<OwnedFd, Errno> {
    nix::fcntl::open("/", SEARCH, Mode::empty())
}

/// Opens a directory to reach what is in it.
pub(crate) fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    nix::fcntl::openat(parent, name, SEARCH, Mode::empty())
}

/// Opens a regular file for its data.
pub(crate) fn open_data(parent: impl AsFd, name: &[u8], writable: bool) -> Result<OwnedFd, Errno> {
    let access = if writable { OFlag::O_RDWR } else { OFlag::O_RDONLY };
    nix::fcntl::openat(parent, name, DATA | access, Mode::empty())
}

/// Opens whatever has this name, only to tell what it is.
#[cfg(target_os = "linux")]
pub(crate) fn open_itself(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    nix::fcntl::openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens whatever has this name, only to tell what it is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_itself(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let itself = OFlag::from_bits_retain(nix::libc::O_SYMLINK);
    let flags = OFlag::O_RDONLY | itself | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::openat(parent, name, flags, Mode::empty())
}

/// Makes a regular file that must not exist yet.
pub(crate) fn create(parent: impl AsFd, name: &[u8], mode: u32) -> Result<OwnedFd, Errno> {
    let flags = DATA | OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    nix::fcntl::openat(parent, name, flags, permission_bits(mode))
}

/// Makes a named pipe.
#[cfg(target_os = "linux")]
pub(crate) fn make_fifo(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    nix::unistd::mkfifoat(parent, name, mode)
}

/// Makes the name of a socket that nobody has bound.
#[cfg(target_os = "linux")]
pub(crate) fn make_socket(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    nix::sys::stat::mknodat(parent, name, nix::sys::stat::SFlag::S_IFSOCK, mode, 0)
}

/// Other systems cannot ([`super::Abilities`]).
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_fifo(_: impl AsFd, _: &[u8], _: Mode) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}

/// Other systems cannot ([`super::Abilities`]).
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_socket(_: impl AsFd, _: &[u8], _: Mode) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}

/// Whether names that differ in case only are two names in the file system that this path lies on.
#[cfg(target_os = "linux")]
pub(crate) fn tells_case(_: &Path) -> bool {
    true
}

/// The same, asked of the file system (`_PC_CASE_SENSITIVE`, pathconf(2)). One that does not say does.
#[cfg(not(target_os = "linux"))]
pub(crate) fn tells_case(path: &Path) -> bool {
    crate::sys::tells_case(path).unwrap_or(true)
}

/// What the host knows of a name, itself and not what it may link to.
pub(crate) fn stat(parent: impl AsFd, name: &[u8]) -> Result<FileStat, Errno> {
    nix::sys::stat::fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// The names in a directory, but for `.` and `..`, as the host has them now; nothing if there are more than `most`.
pub(crate) fn names(directory: impl AsFd, most: usize) -> Result<Option<Vec<Arc<[u8]>>>, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = nix::fcntl::openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    let mut few = true;
    each_name(directory, |name| {
        few = names.len() < most || is_dots(name);
        if few && !is_dots(name) {
            names.push(name.into());
        }
        few
    })?;
    Ok(few.then_some(names))
}

fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

/// Reads a directory until `take` has had enough.
#[cfg(target_os = "linux")]
fn each_name(directory: OwnedFd, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Errno> {
    let mut buffer = Vec::with_capacity(DIRECTORY_BUFFER);
    let mut stream = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = stream.next() {
        let entry = entry.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
        if !take(entry.file_name().to_bytes()) {
            break;
        }
    }
    Ok(())
}

/// Reads a directory until `take` has had enough.
#[cfg(not(target_os = "linux"))]
fn each_name(directory: OwnedFd, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), Errno> {
    for entry in nix::dir::Dir::from_fd(directory)?.iter() {
        if !take(entry?.file_name().to_bytes()) {
            break;
        }
    }
    Ok(())
}

/// Sets the mode of anything but a symbolic link. `file` is an open descriptor of it when there is one.
///
/// Without one the name is opened first: `fchmodat` cannot be told not to follow a link on every kernel.
pub(crate) fn set_mode(
    parent: impl AsFd,
    name: &[u8],
    file: Option<&OwnedFd>,
    mode: u32,
) -> Result<(), Errno> {
    if let Some(file) = file {
        return nix::sys::stat::fchmod(file, permission_bits(mode));
    }
    set_mode_by_name(parent, name, permission_bits(mode))
}

#[cfg(target_os = "linux")]
fn set_mode_by_name(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let file = open_itself(parent, name)?;
    let stat = nix::sys::stat::fstat(&file)?;
    if super::attributes::Kind::of(stat.st_mode) == super::attributes::Kind::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    // A descriptor opened with O_PATH has no fchmod; its name in /proc leads to exactly this file.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    nix::sys::stat::fchmodat(nix::fcntl::AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink)
}

#[cfg(not(target_os = "linux"))]
fn set_mode_by_name(parent: impl AsFd, name: &[u8], mode: Mode) -> Result<(), Errno> {
    nix::sys::stat::fchmodat(parent, name, mode, FchmodatFlags::NoFollowSymlink)
}

/// The bits of a mode that a view lets through.
pub(crate) fn permission_bits(mode: u32) -> Mode {
    #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
    Mode::from_bits_truncate((mode & 0o1777) as nix::libc::mode_t)
}

/// What decides whether two names are the same file.
#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
pub(crate) fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}
