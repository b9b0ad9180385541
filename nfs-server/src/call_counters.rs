//! Counters of calls.

use std::sync::atomic::{AtomicU64, Ordering};

/// Procedures of NFS version 3.
pub(crate) const PROCEDURES: usize = 22;

/// Calls answered so far, and those refused.
#[derive(Default)]
pub(crate) struct CallCounters {
    nfs: [AtomicU64; PROCEDURES],
    mount: AtomicU64,
    blocking: AtomicU64,
    refused: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl CallCounters {
    pub(crate) fn count_nfs(&self, procedure: u32) {
        if let Some(counter) = usize::try_from(procedure).ok().and_then(|index| self.nfs.get(index)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count_mount(&self) {
        self.mount.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that goes to the blocking pool; it was counted before.
    pub(crate) fn count_blocking(&self) {
        self.blocking.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refused connection, or a call that reached no procedure.
    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what a READ answers with.
    pub(crate) fn count_read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Counts what a WRITE has written.
    pub(crate) fn count_written(&self, bytes: usize) {
        self.bytes_written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes_written.load(Ordering::Relaxed)
    }

    pub(crate) fn nfs(&self) -> [u64; PROCEDURES] {
        self.nfs.each_ref().map(|counter| counter.load(Ordering::Relaxed))
    }

    pub(crate) fn mount(&self) -> u64 {
        self.mount.load(Ordering::Relaxed)
    }

    pub(crate) fn blocking(&self) -> u64 {
        self.blocking.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
