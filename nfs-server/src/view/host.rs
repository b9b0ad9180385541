//! Host files, always reached from an open directory by one name and never through a symbolic link.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use defences::Defence;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode};
#[cfg(target_os = "linux")]
use nix::sys::{stat::UtimensatFlags, time::TimeSpec};

#[cfg(target_os = "linux")]
use super::attributes::FileType;
use super::attributes::permission_bits;
#[cfg(target_os = "linux")]
use super::caller::AccessMask;
use super::fd_cache::OpenMode;

/// A directory opened only to reach what is in it.
#[cfg(target_os = "linux")]
const SEARCH: OFlag =
    OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
#[cfg(not(target_os = "linux"))]
const SEARCH: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A file opened for its data. `O_NONBLOCK` because the host may have put a FIFO where a file was.
const DATA: OFlag = OFlag::O_NOFOLLOW.union(OFlag::O_CLOEXEC).union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// The name by which the functions here take a directory, or what is open in its place, itself.
pub(crate) const ITSELF: &[u8] = b"";

/// Bytes read of a directory at a time, as much as the C library's readdir(3) does.
#[cfg(target_os = "linux")]
const DIRECTORY_BUFFER: usize = 32 << 10;

/// Opens the root of the host.
pub(crate) fn open_root() -> Result<OwnedFd, Errno> {
    nix::fcntl::open("/", SEARCH, Mode::empty())
}

/// Flags by which a link is opened by nobody.
fn no_link(flags: OFlag) -> OFlag {
    if Defence::OpenedFiles.stands() { flags } else { flags.difference(OFlag::O_NOFOLLOW) }
}

/// Opens a directory to reach what is in it.
pub(crate) fn open_directory(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    nix::fcntl::openat(parent, name, no_link(SEARCH), Mode::empty())
}

/// Opens a regular file for its data.
pub(crate) fn open_data(parent: impl AsFd, name: &[u8], access: OpenMode) -> Result<OwnedFd, Errno> {
    #[cfg(target_os = "linux")]
    if name == ITSELF {
        let flags = DATA.difference(OFlag::O_NOFOLLOW) | access.flag();
        return nix::fcntl::open(own_path(parent).as_str(), flags, Mode::empty());
    }
    nix::fcntl::openat(parent, name, no_link(DATA) | access.flag(), Mode::empty())
}

/// Does something with a file or directory while its owner, who this process is, has permissions besides those of its mode.
/// Nobody else may set the mode meanwhile.
pub(crate) fn with_permissions<T>(
    file: &OwnedFd,
    permissions: nix::libc::mode_t,
    action: impl FnOnce() -> Result<T, Errno>,
) -> Result<T, Errno> {
    let mode = nix::sys::stat::fstat(file)?.st_mode;
    let set = |mode| set_whole_mode(file, Mode::from_bits_truncate(mode));
    set(mode | permissions)?;
    let done = action();
    set(mode)?;
    done
}

/// Sets the mode of a file that may be open only to tell what it is.
#[cfg(target_os = "linux")]
fn set_whole_mode(file: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    let path = own_path(file);
    nix::sys::stat::fchmodat(nix::fcntl::AT_FDCWD, path.as_str(), mode, FchmodatFlags::FollowSymlink)
}

/// Sets the mode of a file.
#[cfg(not(target_os = "linux"))]
fn set_whole_mode(file: &OwnedFd, mode: Mode) -> Result<(), Errno> {
    nix::sys::stat::fchmod(file, mode)
}

/// Opens whatever has this name, only to tell what it is.
#[cfg(target_os = "linux")]
pub(crate) fn open_itself(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    if name == ITSELF {
        return rustix::io::fcntl_dupfd_cloexec(parent, 0)
            .map_err(|errno| Errno::from_raw(errno.raw_os_error()));
    }
    nix::fcntl::openat(parent, name, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens whatever has this name, only to tell what it is.
#[cfg(not(target_os = "linux"))]
pub(crate) fn open_itself(parent: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let itself = OFlag::from_bits_retain(nix::libc::O_SYMLINK);
    let flags = OFlag::O_RDONLY | itself | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    nix::fcntl::openat(parent, name, flags, Mode::empty())
}

/// Whether this thread, as whoever it acts as, may do that with a name, itself and not what it may link to.
#[cfg(target_os = "linux")]
pub(crate) fn may(parent: impl AsFd, name: &[u8], mask: AccessMask) -> Result<bool, Errno> {
    use rustix::fs::{Access, AtFlags, accessat};

    let access = match mask {
        AccessMask::Read => Access::READ_OK,
        AccessMask::Write => Access::WRITE_OK,
        AccessMask::Execute => Access::EXEC_OK,
    };
    let flags = match name {
        ITSELF => AtFlags::EACCESS | AtFlags::EMPTY_PATH,
        _ => AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW,
    };
    match accessat(parent, name, access, flags) {
        Ok(()) => Ok(true),
        // Before Linux 5.8 nobody can ask.
        Err(rustix::io::Errno::ACCESS | rustix::io::Errno::ROFS | rustix::io::Errno::NOSYS) => Ok(false),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}

/// Whether a file has an access control list besides its mode (acl(5)).
#[cfg(target_os = "linux")]
pub(crate) fn has_acl(parent: impl AsFd, name: &[u8]) -> Result<bool, Errno> {
    const LIST: &str = "system.posix_acl_access";
    let mut path = own_path(parent).into_bytes();
    let asked = if name == ITSELF {
        rustix::fs::getxattr_query(path, LIST)
    } else {
        path.push(b'/');
        path.extend_from_slice(name);
        rustix::fs::lgetxattr_query(path, LIST)
    };
    match asked {
        Ok(length) => Ok(length > 0),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(false),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}

/// Bytes of the largest file that any system lets a program make (`off_t`).
pub(crate) const MAX_FILE_SIZE: u64 = i64::MAX as u64;

/// Bytes of the largest file of ext4 with blocks of 4 KiB, the usual ones: 2^32 - 1 blocks (`ext4_max_size` of `fs/ext4/super.c`).
#[cfg(target_os = "linux")]
const MAX_FILE_SIZE_EXT4: i64 = (u32::MAX as i64) << 12;

/// Bytes of the largest file that can be made in a directory, as far as its file system tells: how far one that has no name
/// yet can be sought (lseek(2)). FAT has none of those, and a limit that everybody knows.
#[cfg(target_os = "linux")]
pub(crate) fn max_file_size(directory: impl AsFd) -> Option<u64> {
    use nix::unistd::{Whence, lseek};

    if nix::sys::statfs::fstatfs(&directory)
        .is_ok_and(|fs| fs.filesystem_type() == nix::sys::statfs::MSDOS_SUPER_MAGIC)
    {
        return Some(u32::MAX.into());
    }
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let file = nix::fcntl::openat(&directory, ".", flags, Mode::S_IRUSR).ok()?;
    let reaches = |offset| lseek(&file, offset, Whence::SeekSet).is_ok();
    if reaches(i64::MAX) {
        return Some(MAX_FILE_SIZE);
    }
    let (mut reached, mut beyond) = (0, i64::MAX);
    // Found by two questions in place of 63.
    if reaches(MAX_FILE_SIZE_EXT4) {
        reached = MAX_FILE_SIZE_EXT4;
        if !reaches(MAX_FILE_SIZE_EXT4 + 1) {
            beyond = MAX_FILE_SIZE_EXT4 + 1;
        }
    }
    while beyond - reached > 1 {
        let middle = reached + (beyond - reached) / 2;
        if reaches(middle) { reached = middle } else { beyond = middle }
    }
    u64::try_from(reached).ok()
}

/// Other systems do not tell.
#[cfg(not(target_os = "linux"))]
pub(crate) fn max_file_size(_: impl AsFd) -> Option<u64> {
    None
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

/// Other systems cannot ([`super::HostCapabilities`]).
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_fifo(_: impl AsFd, _: &[u8], _: Mode) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}

/// Other systems cannot ([`super::HostCapabilities`]).
#[cfg(not(target_os = "linux"))]
pub(crate) fn make_socket(_: impl AsFd, _: &[u8], _: Mode) -> Result<(), Errno> {
    Err(Errno::EOPNOTSUPP)
}

/// Whether names that differ in case only are two names in the file system that this path lies on.
#[cfg(target_os = "linux")]
pub(crate) fn case_sensitive(_: &Path) -> bool {
    true
}

/// The same, asked of the file system (`_PC_CASE_SENSITIVE`, pathconf(2)). One that does not say does.
#[cfg(not(target_os = "linux"))]
pub(crate) fn case_sensitive(path: &Path) -> bool {
    crate::sys::case_sensitive(path).unwrap_or(true)
}

/// What the host knows of a name, itself and not what it may link to.
pub(crate) fn stat(parent: impl AsFd, name: &[u8]) -> Result<FileStat, Errno> {
    let follow = if Defence::OpenedFiles.stands() { AtFlags::AT_SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    nix::sys::stat::fstatat(parent, name, follow)
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

/// Sets the mode of what a name leads to, but not of a symbolic link: `fchmodat` cannot be told not to follow one on every
/// kernel, so that the name is opened first.
#[cfg(target_os = "linux")]
pub(crate) fn set_mode(parent: impl AsFd, name: &[u8], mode: u32) -> Result<(), Errno> {
    let file = open_itself(parent, name)?;
    if FileType::of(nix::sys::stat::fstat(&file)?.st_mode) == FileType::Symlink {
        return Err(Errno::EOPNOTSUPP);
    }
    set_own_mode(&file, mode)
}

/// Sets the mode of what a name leads to, but not of a symbolic link.
#[cfg(not(target_os = "linux"))]
pub(crate) fn set_mode(parent: impl AsFd, name: &[u8], mode: u32) -> Result<(), Errno> {
    nix::sys::stat::fchmodat(parent, name, permission_bits(mode), FchmodatFlags::NoFollowSymlink)
}

/// A path that leads to exactly this file, for the calls that take no descriptor opened with `O_PATH`.
#[cfg(target_os = "linux")]
fn own_path(file: impl AsFd) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd())
}

/// Sets the mode of a file that is open only to tell what it is.
#[cfg(target_os = "linux")]
pub(crate) fn set_own_mode(file: &OwnedFd, mode: u32) -> Result<(), Errno> {
    set_whole_mode(file, permission_bits(mode))
}

/// Sets the times of a file that is open only to tell what it is.
#[cfg(target_os = "linux")]
pub(crate) fn set_own_times(file: &OwnedFd, accessed: &TimeSpec, modified: &TimeSpec) -> Result<(), Errno> {
    let follow = UtimensatFlags::FollowSymlink;
    nix::sys::stat::utimensat(nix::fcntl::AT_FDCWD, own_path(file).as_str(), accessed, modified, follow)
}

/// Gives a file that is open only to tell what it is another name.
#[cfg(target_os = "linux")]
pub(crate) fn link_own(file: &OwnedFd, directory: impl AsFd, name: &[u8]) -> Result<(), Errno> {
    let follow = AtFlags::AT_SYMLINK_FOLLOW;
    nix::unistd::linkat(nix::fcntl::AT_FDCWD, own_path(file).as_str(), directory, name, follow)
}

/// What decides whether two names are the same file.
#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
pub(crate) fn identity(stat: &FileStat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_more_names_than_wanted_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        for name in ["a", "b", "c"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        let directory = std::fs::File::open(place.path()).unwrap();
        let read = |most| {
            names(&directory, most).unwrap().map(|mut names| {
                names.sort();
                names.concat()
            })
        };
        assert_eq!(read(3).as_deref(), Some(&b"abc"[..]), "without . and ..");
        assert_eq!(read(2), None);
        assert_eq!(read(usize::MAX).map(|names| names.len()), Some(3));
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("directory")).unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        for (link, target) in [("to-directory", "directory"), ("to-file", "file"), ("to-nothing", "nothing")]
        {
            std::os::unix::fs::symlink(target, place.path().join(link)).unwrap();
            let directory = std::fs::File::open(place.path()).unwrap();
            let name = link.as_bytes();
            let itself = open_itself(&directory, name).unwrap();
            let opened = nix::sys::stat::fstat(&itself).unwrap();
            assert_eq!(identity(&opened), identity(&stat(&directory, name).unwrap()), "{link}");
            assert_eq!(open_data(&directory, name, OpenMode::Read).err(), Some(Errno::ELOOP), "{link}");
            assert!(open_directory(&directory, name).is_err(), "{link}");
            assert_eq!(create(&directory, name, 0o600).err(), Some(Errno::EEXIST), "{link}");
        }
        assert!(!place.path().join("nothing").exists());
    }

    #[test]
    fn a_view_lets_permissions_and_the_sticky_bit_through() {
        assert_eq!(permission_bits(0o7777), Mode::from_bits_truncate(0o1777));
        assert_eq!(permission_bits(0o640), Mode::from_bits_truncate(0o640));
    }

    #[test]
    fn the_largest_file_of_a_directory_can_be_made_and_a_larger_one_cannot() {
        let place = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(place.path()).unwrap();
        let Some(largest) = max_file_size(&directory) else { return };
        let file = std::fs::File::create(place.path().join("file")).unwrap();
        let set = |length: u64| i64::try_from(length).is_ok() && file.set_len(length).is_ok();
        assert!(largest > 1 << 30 && set(largest), "{largest}");
        assert!(!set(largest + 1), "{largest}");
    }
}
