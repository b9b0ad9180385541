//! How much may be written in a view's writable places together: blocks and inodes, counted as they come and go.
//!
//! A regular file counts as its size in whole blocks, holes included, and everything else as one block. A file that was
//! there before counts only as far as it grows, and its removal makes room. No call takes a lock for it: what a write may
//! need is taken before it ([`QuotaCounters::reserve`]), and what it did not use is given back ([`QuotaCounters::settle`]).

#[cfg(test)]
mod tests;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use defences::Defence;
use serde::{Deserialize, Serialize};

use super::attributes::{Attributes, FileType};
use super::error::Error;

/// Bytes of a block, as in most file systems.
pub const BLOCK: u64 = 4096;

/// What a file counts as that was removed.
const REMOVED: u64 = u64::MAX;

/// How much may be written. By default as much as there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quota {
    /// Bytes of files, in blocks of [`BLOCK`] bytes.
    pub bytes: Option<u64>,
    /// Files, directories, links and all else that has an inode.
    pub inodes: Option<u64>,
}

/// A quota, and how often it was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaUsage {
    /// What may be written.
    pub quota: Quota,
    /// Calls that were refused because there were no bytes left.
    pub bytes_refused: u64,
    /// Calls that were refused because there were no inodes left.
    pub inodes_refused: u64,
}

/// What is left of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Remaining {
    pub(crate) limit: u64,
    pub(crate) left: u64,
}

/// What a view has used of its quota.
pub(crate) struct QuotaCounters {
    quota: Quota,
    blocks: LimitedCounter,
    inodes: LimitedCounter,
}

/// Counts what is used of a limit.
struct LimitedCounter {
    limit: i64,
    /// Negative when more was removed than made.
    used: AtomicI64,
    refused: AtomicU64,
}

/// The blocks that a file counts as, or [`REMOVED`].
#[derive(Debug)]
pub(crate) struct FileBlocks(AtomicU64);

/// Blocks that were taken so that a file may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reservation {
    from: u64,
    to: u64,
    /// Up to where the file may be written now.
    pub(crate) end: u64,
}

/// An inode and its first block, taken for a file that is about to be made, and given back unless it was.
#[must_use]
pub(crate) struct NewInode<'q>(Option<&'q QuotaCounters>);

impl Quota {
    /// Whether there is any limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        *self != Quota::default()
    }

    /// The stricter of two quotas.
    #[must_use]
    pub fn stricter(self, other: Quota) -> Quota {
        let least = |one: Option<u64>, other: Option<u64>| one.into_iter().chain(other).min();
        Quota { bytes: least(self.bytes, other.bytes), inodes: least(self.inodes, other.inodes) }
    }
}

impl QuotaUsage {
    /// Whether anything was refused.
    #[must_use]
    pub fn is_met(&self) -> bool {
        self.bytes_refused + self.inodes_refused > 0
    }
}

impl QuotaCounters {
    /// `None` where nothing is limited, and nothing has to be counted.
    pub(crate) fn new(quota: Quota) -> Option<QuotaCounters> {
        (quota.is_limited() && Defence::Quotas.stands()).then(|| QuotaCounters {
            quota,
            blocks: LimitedCounter::new(quota.bytes.map(|bytes| bytes / BLOCK)),
            inodes: LimitedCounter::new(quota.inodes),
        })
    }

    pub(crate) fn usage(&self) -> QuotaUsage {
        QuotaUsage {
            quota: self.quota,
            bytes_refused: self.blocks.refused.load(Ordering::Relaxed),
            inodes_refused: self.inodes.refused.load(Ordering::Relaxed),
        }
    }

    /// Bytes, if they are limited.
    pub(crate) fn bytes(&self) -> Option<Remaining> {
        let limit = self.quota.bytes?;
        Some(Remaining { limit, left: self.blocks.left().saturating_mul(BLOCK).min(limit) })
    }

    /// Inodes, if they are limited.
    pub(crate) fn inodes(&self) -> Option<Remaining> {
        let limit = self.quota.inodes?;
        Some(Remaining { limit, left: self.inodes.left().min(limit) })
    }

    /// Takes what one more file needs, or says which limit stands against it.
    pub(crate) fn new_inode(&self) -> Result<NewInode<'_>, QuotaExceeded<'_>> {
        if !self.inodes.take_one() {
            return Err(QuotaExceeded(&self.inodes));
        }
        if !self.blocks.take_one() {
            self.inodes.give_back(1);
            return Err(QuotaExceeded(&self.blocks));
        }
        Ok(NewInode(Some(self)))
    }

    /// Takes what a file needs to reach `end`, or what is left of that.
    pub(crate) fn reserve(&self, file: &FileBlocks, end: u64) -> Reservation {
        loop {
            let from = file.0.load(Ordering::Acquire);
            let wanted = blocks_of(end).saturating_sub(from);
            let taken = self.blocks.take_up_to(wanted);
            let to = from + taken;
            if taken == 0 || file.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                let end = if taken < wanted { to * BLOCK } else { end };
                return Reservation { from, to, end };
            }
            self.blocks.give_back(taken);
        }
    }

    /// The same, but all or nothing.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub(crate) fn reserve_whole(&self, file: &FileBlocks, end: u64) -> Result<Reservation, Error> {
        let reservation = self.reserve(file, end);
        if reservation.end < end {
            self.give_back(file, reservation, reservation.from);
            return Err(self.refuse_bytes());
        }
        Ok(reservation)
    }

    /// A file has grown, or was to: gives back what it did not need.
    pub(crate) fn settle(&self, file: &FileBlocks, reservation: Reservation, descriptor: &OwnedFd) {
        let size = size(descriptor);
        self.give_back(file, reservation, blocks_of(size).max(reservation.from));
        self.raise(file, size);
    }

    /// A file was given a length.
    pub(crate) fn resized(&self, file: &FileBlocks, descriptor: &OwnedFd) {
        let now = blocks_of(size(descriptor));
        let before = file
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |before| (before != REMOVED).then_some(now));
        if let Ok(before) = before {
            self.blocks.give_back(before);
            self.blocks.take_anyway(now);
            // A write that ended before this may have made it longer again.
            self.raise(file, size(descriptor));
        }
    }

    /// A file has no name any more, and nobody has it open.
    pub(crate) fn remove(&self, file: &FileBlocks) {
        let before = file.0.swap(REMOVED, Ordering::AcqRel);
        if before != REMOVED {
            self.blocks.give_back(before);
            self.inodes.give_back(1);
        }
    }

    /// Counts a call that is refused because there are no bytes left.
    pub(crate) fn refuse_bytes(&self) -> Error {
        QuotaExceeded(&self.blocks).error()
    }

    /// Unless another call has changed meanwhile what the file counts as.
    fn give_back(&self, file: &FileBlocks, Reservation { to, .. }: Reservation, needed: u64) {
        if needed < to && file.0.compare_exchange(to, needed, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.blocks.give_back(to - needed);
        }
    }

    /// Counts at least the size that a file has, whether there is room for it or not: it has it.
    pub(crate) fn raise(&self, file: &FileBlocks, size: u64) {
        let now = blocks_of(size);
        let before = file.0.fetch_max(now, Ordering::AcqRel);
        self.blocks.take_anyway(now.saturating_sub(before));
    }
}

impl NewInode<'_> {
    /// The file was made.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }

    /// Where nothing is limited.
    pub(crate) fn unlimited() -> NewInode<'static> {
        NewInode(None)
    }
}

impl Drop for NewInode<'_> {
    fn drop(&mut self) {
        if let Some(quota) = self.0 {
            quota.inodes.give_back(1);
            quota.blocks.give_back(1);
        }
    }
}

/// The limit that a call would exceed.
pub(crate) struct QuotaExceeded<'q>(&'q LimitedCounter);

impl QuotaExceeded<'_> {
    /// Counts the call.
    pub(crate) fn error(&self) -> Error {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
        Error::NoSpace
    }
}

impl FileBlocks {
    /// Of a file with these attributes.
    pub(crate) fn of(attributes: &Attributes) -> FileBlocks {
        FileBlocks(AtomicU64::new(match attributes.kind {
            FileType::Regular => blocks_of(attributes.size),
            _ => 1,
        }))
    }

    /// Of a file of this size.
    pub(crate) fn of_size(size: u64) -> FileBlocks {
        FileBlocks(AtomicU64::new(blocks_of(size)))
    }

    /// The file was made just now, in the place of another one that may be known still.
    pub(crate) fn begin(&self, blocks: &FileBlocks) {
        self.0.store(blocks.0.load(Ordering::Relaxed), Ordering::Release);
    }
}

impl LimitedCounter {
    fn new(limit: Option<u64>) -> LimitedCounter {
        let limit = limit.map_or(i64::MAX, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        LimitedCounter { limit, used: AtomicI64::new(0), refused: AtomicU64::new(0) }
    }

    fn left(&self) -> u64 {
        let left = self.limit.saturating_sub(self.used.load(Ordering::Acquire));
        u64::try_from(left).unwrap_or(0)
    }

    fn take_one(&self) -> bool {
        self.take_up_to(1) == 1
    }

    fn take_up_to(&self, wanted: u64) -> u64 {
        let mut taken = 0;
        let _ = self.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            let left = u64::try_from(self.limit.saturating_sub(used)).unwrap_or(0);
            taken = wanted.min(left);
            (taken > 0).then(|| used.saturating_add_unsigned(taken))
        });
        taken
    }

    fn take_anyway(&self, count: u64) {
        self.used.fetch_add(count.cast_signed(), Ordering::AcqRel);
    }

    fn give_back(&self, count: u64) {
        self.used.fetch_sub(count.cast_signed(), Ordering::AcqRel);
    }
}

/// The present size of an open file.
pub(crate) fn size(file: &OwnedFd) -> u64 {
    let stat = nix::sys::stat::fstat(file);
    stat.ok().and_then(|stat| stat.st_size.try_into().ok()).unwrap_or(0)
}

/// At least one, which an empty file needs for itself.
fn blocks_of(size: u64) -> u64 {
    size.div_ceil(BLOCK).max(1)
}
