//! What is known of a node without reading it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use defences::Defence;
use nix::sys::stat::{FileStat, Mode, SFlag};

/// The type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// A time: nanoseconds since 1970, negative before. What lies outside of the years 1678 to 2261 is moved to their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// A time as `struct timespec` has it.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Time {
        Time(seconds.saturating_mul(SECOND).saturating_add(nanoseconds as i64))
    }

    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(SECOND)
    }

    /// The nanoseconds beyond [`Time::seconds`]; below 10⁹.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.0.rem_euclid(SECOND) as u32
    }

    /// The present time.
    pub(crate) fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
    }

    /// Whether it is less than that ago, or in the future.
    pub(crate) fn is_within(self, span: Duration) -> bool {
        let span = i64::try_from(span.as_nanos()).unwrap_or(i64::MAX);
        Time::now().0.saturating_sub(self.0) < span
    }

    /// So many nanoseconds later, or earlier.
    pub(crate) const fn moved(self, nanoseconds: i64) -> Time {
        Time(self.0.saturating_add(nanoseconds))
    }

    /// How many nanoseconds it is later than another.
    pub(crate) const fn since(self, other: Time) -> i64 {
        self.0.saturating_sub(other.0)
    }

    fn of_host(seconds: i64, nanoseconds: i64) -> Time {
        Time::new(seconds, u32::try_from(nanoseconds).unwrap_or(0))
    }
}

/// What is known of a node without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its type.
    pub kind: FileType,
    /// Permission bits and the sticky bit; the set-id bits never show.
    pub mode: u32,
    /// Links to it; of a directory at least 2, since macOS takes a smaller number to mean that it is empty.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes in it.
    pub size: u64,
    /// Bytes it takes on the host's disk.
    pub used: u64,
    /// Major and minor device number, of a device.
    pub device: (u32, u32),
    /// Inode number.
    pub fileid: u64,
    /// Time of the last read (`atime`).
    pub accessed: Time,
    /// Time of the last change of the contents (`mtime`).
    pub modified: Time,
    /// Last change of the contents or of these attributes.
    pub changed: Time,
}

/// What decides who may do what with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Permissions {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
}

impl Permissions {
    /// Those that the host has.
    #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
    pub(crate) fn of(stat: &FileStat) -> Permissions {
        Permissions { mode: stat.st_mode as u32, uid: stat.st_uid, gid: stat.st_gid }
    }
}

impl FileType {
    /// The type that a host's mode word tells.
    pub(crate) fn of(mode: nix::libc::mode_t) -> FileType {
        match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFDIR => FileType::Directory,
            SFlag::S_IFLNK => FileType::Symlink,
            SFlag::S_IFBLK => FileType::BlockDevice,
            SFlag::S_IFCHR => FileType::CharacterDevice,
            SFlag::S_IFIFO => FileType::Fifo,
            SFlag::S_IFSOCK => FileType::Socket,
            _ => FileType::Regular,
        }
    }
}

/// Which bits of modes a view lets through, in both directions: all but set-id bits.
pub(crate) fn shown_bits() -> u32 {
    if Defence::SetIdBits.stands() { 0o1777 } else { 0o7777 }
}

/// Those of a mode.
pub(crate) fn permission_bits(mode: u32) -> Mode {
    #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
    Mode::from_bits_truncate((mode & shown_bits()) as nix::libc::mode_t)
}

impl Attributes {
    /// The attributes of a host file as a view shows them.
    #[allow(
        clippy::unnecessary_cast,
        clippy::unnecessary_fallible_conversions,
        reason = "the fields' widths differ between systems"
    )]
    pub(crate) fn of(stat: &FileStat, kind: FileType, fileid: u64) -> Attributes {
        let links = u32::try_from(stat.st_nlink).unwrap_or(u32::MAX);
        let device = stat.st_rdev as nix::libc::dev_t;
        Attributes {
            kind,
            mode: stat.st_mode as u32 & shown_bits(),
            links: if kind == FileType::Directory { links.max(2) } else { links },
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            used: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            device: (nix::libc::major(device) as u32, nix::libc::minor(device) as u32),
            fileid,
            accessed: Time::of_host(stat.st_atime as i64, stat.st_atime_nsec as i64),
            modified: Time::of_host(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: Time::of_host(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    pub(crate) fn permissions(&self) -> Permissions {
        Permissions { mode: self.mode, uid: self.uid, gid: self.gid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_have_positive_nanoseconds() {
        for (seconds, nanoseconds) in [(0, 0), (7, 999_999_999), (-1, 1), (-7, 999_999_999), (1 << 32, 5)] {
            let time = Time::new(seconds, nanoseconds);
            assert_eq!((time.seconds(), time.nanoseconds()), (seconds, nanoseconds));
        }
        assert!(Time::new(-1, 999_999_999) < Time::new(0, 0));
        assert_eq!(Time::new(i64::MAX, 0), Time(i64::MAX));
    }

    #[test]
    fn a_time_is_within_a_span_until_it_is_over() {
        let now = Time::now();
        assert!(now.is_within(Duration::from_secs(60)));
        assert!(Time::new(now.seconds() + 60, 0).is_within(Duration::ZERO), "in the future");
        assert!(!Time::new(now.seconds() - 61, 0).is_within(Duration::from_secs(60)));
    }
}
