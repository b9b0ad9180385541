//! Requests that may not wait for a disk.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;

use super::error::Error;
use super::fd_cache::OpenHandle;

/// Whether a request may be kept waiting for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// It fails with [`Error::WouldBlock`] instead, as with `O_NONBLOCK`, and may be repeated.
    Never,
    /// It takes as long as the disk does.
    Allowed,
}

impl Blocking {
    /// Refuses what would block.
    pub(crate) fn check(self, waits: bool) -> Result<(), Error> {
        if waits && self == Blocking::Never { Err(Error::WouldBlock) } else { Ok(()) }
    }

    /// Reads at `offset`; from the page cache only, unless blocking is allowed.
    pub(crate) fn read_at(
        self,
        file: &OpenHandle,
        into: &mut [u8],
        offset: i64,
        probe: &ResidencyProbe,
    ) -> Result<usize, Errno> {
        if self == Blocking::Never && !probe.unsupported.load(Ordering::Relaxed) {
            match read_resident(file, into, offset) {
                Some(read) => return read,
                None => probe.unsupported.store(true, Ordering::Relaxed),
            }
        }
        nix::sys::uio::pread(file.descriptor(), into, offset)
    }
}

/// Whether a file system supports `RWF_NOWAIT` (preadv2(2)). Most of those that do not have no disk.
#[derive(Default)]
pub(crate) struct ResidencyProbe {
    unsupported: AtomicBool,
}

/// Reads from the page cache; EAGAIN when the data is not there, `None` where that is not supported.
#[cfg(target_os = "linux")]
fn read_resident(file: &OpenHandle, into: &mut [u8], offset: i64) -> Option<Result<usize, Errno>> {
    use rustix::io::{ReadWriteFlags, preadv2};
    use std::io::IoSliceMut;

    let offset = u64::try_from(offset).ok()?;
    match preadv2(file.descriptor(), &mut [IoSliceMut::new(into)], offset, ReadWriteFlags::NOWAIT) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => None,
        read => Some(read.map_err(|errno| Errno::from_raw(errno.raw_os_error()))),
    }
}

/// Not supported by macOS.
#[cfg(not(target_os = "linux"))]
fn read_resident(_: &OpenHandle, _: &mut [u8], _: i64) -> Option<Result<usize, Errno>> {
    None
}
