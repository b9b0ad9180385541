//! What is counted at each node: without a lock, so that no call waits for another.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What was done with one node.
#[derive(Debug, Default)]
pub(crate) struct UseCounters {
    looked_up: AtomicBool,
    /// Whether a directory was listed, or a symbolic link's target read.
    listed: AtomicBool,
    bytes_read: AtomicU64,
}

impl UseCounters {
    /// A lookup has found it.
    pub(crate) fn looked_up(&self) {
        set(&self.looked_up);
    }

    /// It was listed, or its target read.
    pub(crate) fn listed(&self) {
        set(&self.listed);
    }

    /// So many bytes of it were read.
    pub(crate) fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        self.looked_up.load(Ordering::Relaxed)
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }
}

/// Sets it once: a line of a processor's cache that is only read can be in many of them.
fn set(flag: &AtomicBool) {
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}
