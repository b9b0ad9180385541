//! What a stream is, and so what can be done with it besides reading and writing.

use std::io::{self, ErrorKind, IsTerminal};
use std::os::fd::BorrowedFd;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{FileStat, SFlag, fstat};

/// How a stream is carried.
pub(super) enum StreamKind {
    /// As it is. A pipe or a socket is nothing but what goes through it. A device that only computes is replaced by the
    /// jail with its own.
    Harmless,
    /// It is read.
    Input {
        /// At any place.
        is_file: bool,
    },
    /// It is written.
    Output(OpenFileId),
    /// It is a terminal.
    Terminal,
}

/// Which file it is, and how it is open: the same for two streams of which one was made of the other, as of `2>&1`.
pub(super) type OpenFileId = (libc::dev_t, libc::ino_t, OFlag);

impl StreamKind {
    /// Looks at a stream that is usually read, or else written.
    pub(super) fn of(stream: BorrowedFd<'_>, is_read: bool) -> io::Result<StreamKind> {
        let (status, flags) = (fstat(stream)?, OFlag::from_bits_retain(fcntl(stream, FcntlArg::F_GETFL)?));
        let access = flags & OFlag::O_ACCMODE;
        let reads = if is_read { access != OFlag::O_WRONLY } else { access == OFlag::O_RDONLY };
        match SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits()) {
            // Not even to be read.
            _ if is_path(flags) => Err(ErrorKind::InvalidInput.into()),
            SFlag::S_IFDIR => Err(ErrorKind::IsADirectory.into()),
            SFlag::S_IFSOCK => Ok(StreamKind::Harmless),
            SFlag::S_IFIFO if is_pipe(stream)? => Ok(StreamKind::Harmless),
            SFlag::S_IFCHR if is_pure(&status) => Ok(StreamKind::Harmless),
            SFlag::S_IFCHR if stream.is_terminal() => Ok(StreamKind::Terminal),
            kind if reads => Ok(StreamKind::Input { is_file: kind == SFlag::S_IFREG }),
            _ => Ok(StreamKind::Output((status.st_dev, status.st_ino, flags))),
        }
    }
}

/// A descriptor that only stands for a path.
#[cfg(target_os = "linux")]
fn is_path(flags: OFlag) -> bool {
    flags.contains(OFlag::O_PATH)
}

#[cfg(not(target_os = "linux"))]
fn is_path(_: OFlag) -> bool {
    false
}

/// A pipe without a name, and so with a mode that is nobody's business.
#[cfg(target_os = "linux")]
fn is_pipe(stream: BorrowedFd<'_>) -> io::Result<bool> {
    /// `PIPEFS_MAGIC` of linux/magic.h.
    const PIPES: nix::sys::statfs::FsType = nix::sys::statfs::FsType(0x5049_5045);
    Ok(nix::sys::statfs::fstatfs(stream)?.filesystem_type() == PIPES)
}

/// Nothing tells the two apart; the program is nobody whose pipe it is.
#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "elsewhere asking can fail")]
fn is_pipe(_: BorrowedFd<'_>) -> io::Result<bool> {
    Ok(true)
}

/// A device that only computes: `null`, `zero`, `full`, `random`, `urandom`.
#[cfg(target_os = "linux")]
pub(in crate::jail) fn is_pure(status: &FileStat) -> bool {
    let number = (nix::sys::stat::major(status.st_rdev), nix::sys::stat::minor(status.st_rdev));
    matches!(number, (1, 3 | 5 | 7 | 8 | 9))
}

/// They are root's, and on a file system of their own.
#[cfg(not(target_os = "linux"))]
fn is_pure(status: &FileStat) -> bool {
    std::fs::metadata("/dev/null").is_ok_and(|null| {
        use std::os::unix::fs::MetadataExt;
        null.rdev() == status.st_rdev as u64
    })
}
