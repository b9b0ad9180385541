//! What is known of a node without reading it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::stat::{FileStat, SFlag};

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

/// A moment: seconds since 1970 and nanoseconds. What the host has from before 1970 shows as 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds.
    pub seconds: u32,
    /// Nanoseconds, below 10⁹.
    pub nanoseconds: u32,
}

impl Time {
    /// Whether it is less than that ago, or to come.
    pub(crate) fn is_within(self, span: Duration) -> bool {
        let time = UNIX_EPOCH + Duration::new(self.seconds.into(), self.nanoseconds);
        SystemTime::now().duration_since(time).map_or(true, |ago| ago < span)
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
    /// Last read.
    pub accessed: Time,
    /// Last change of the contents.
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
            mode: stat.st_mode as u32 & 0o1777,
            links: if kind == FileType::Directory { links.max(2) } else { links },
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            used: u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
            device: (nix::libc::major(device) as u32, nix::libc::minor(device) as u32),
            fileid,
            accessed: Time::new(stat.st_atime as i64, stat.st_atime_nsec as i64),
            modified: Time::new(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            changed: Time::new(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    pub(crate) fn permissions(&self) -> Permissions {
        Permissions { mode: self.mode, uid: self.uid, gid: self.gid }
    }
}

impl Time {
    /// The present moment.
    pub(crate) fn now() -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time::new(i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos().into())
    }

    pub(crate) fn new(seconds: i64, nanoseconds: i64) -> Time {
        match u32::try_from(seconds) {
            Ok(seconds) => Time { seconds, nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) },
            Err(_) if seconds < 0 => Time::default(),
            Err(_) => Time { seconds: u32::MAX, nanoseconds: 0 },
        }
    }
}
