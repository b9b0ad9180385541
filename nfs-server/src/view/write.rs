//! Writes the data of files.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::attr_cache::AttrCache;
use super::attributes::Attributes;
use super::blocking::Blocking;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::resolve::check_regular;
use super::writable::Writable;

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Bytes written; a short count means that the disk is full.
    pub count: usize,
    /// Whether they are as durable as they need to be: no commit has to follow.
    pub durable: bool,
    /// The file's attributes after the write.
    pub attributes: Attributes,
}

/// Data to be written to a file.
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait WriteSource: Sized {
    /// Bytes of it.
    fn len(&self) -> usize;

    /// The first `len` bytes of it.
    #[must_use]
    fn truncate(self, len: usize) -> Self;

    /// Writes it to a file at `offset`; returns the number of bytes written.
    ///
    /// # Errors
    /// The host's error if nothing was written.
    fn write_to(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error>;
}

impl Writable<'_> {
    /// Writes data at `offset`. The owner may write whatever the mode says: a descriptor stays writable after a
    /// change of mode, and the caller's system checked the mode at open(2).
    ///
    /// In a graft `sync` writes the data to the disk. A scratch does not outlive the build, so nothing there is synced.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoSpace`], [`Error::TooLarge`] and what else the host says; [`Error::WouldBlock`] as
    /// `blocking` says.
    pub fn write(
        &self,
        offset: u64,
        data: impl WriteSource,
        sync: bool,
        caller: Caller<'_>,
        blocking: Blocking,
    ) -> Result<WriteOutcome, Error> {
        check_regular(self.view.kind(&self.node))?;
        if !caller.owns(self.permissions()?) {
            self.view.check(&self.node, caller, AccessMask::Write)?;
        }
        let outlives = !self.host_entry()?.scratch;
        blocking.check(sync && outlives)?;
        let file = self.view.data(&self.node, true, caller)?;
        let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
        start.checked_add(data.len() as i64).ok_or(Error::TooLarge)?;
        let count = {
            // Writing clears set-id bits and counts for quotas as the caller.
            let _impersonation = self.impersonate(caller)?;
            self.write_within_quota(file.descriptor(), offset, data)?
        };
        self.view.counters(&self.node).written(count as u64);
        // The file has changed, also if the disk fails.
        let generation = self.view.with_attr_cache(&self.node, AttrCache::invalidate);
        if sync && outlives {
            nix::unistd::fdatasync(file.descriptor())?;
        }
        let attributes = self.view.host_attributes(&nix::sys::stat::fstat(file.descriptor())?);
        self.view.with_attr_cache(&self.node, |cache| {
            generation.map(|generation| cache.store(generation, &attributes))
        });
        Ok(WriteOutcome { count, durable: sync || !outlives, attributes })
    }

    /// Writes as much as the view's quota has room for. What lies within the file already needs none.
    fn write_within_quota(
        &self,
        file: &OwnedFd,
        offset: u64,
        data: impl WriteSource,
    ) -> Result<usize, Error> {
        let len = data.len();
        let Some((quota, blocks)) = self.quota().filter(|_| len > 0) else {
            return data.write_to(file.as_fd(), offset);
        };
        let reservation = quota.reserve(blocks, offset.saturating_add(len as u64));
        let result = match reservation.end.saturating_sub(offset) {
            0 => Err(quota.refuse_bytes()),
            room => {
                data.truncate(len.min(usize::try_from(room).unwrap_or(len))).write_to(file.as_fd(), offset)
            }
        };
        quota.settle(blocks, reservation, file);
        result
    }
}

impl WriteSource for &[u8] {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn truncate(self, len: usize) -> Self {
        &self[..len.min(self.len())]
    }

    fn write_to(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error> {
        let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
        let mut count = 0;
        while count < self.len() {
            match nix::sys::uio::pwrite(file, &self[count..], start + count as i64) {
                Ok(0) => return Err(Error::Io),
                Ok(written) => count += written,
                Err(Errno::EINTR) => {}
                // A short write; the next request meets the error itself.
                Err(_) if count > 0 => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(count)
    }
}
