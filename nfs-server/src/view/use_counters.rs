//! What is counted at each node: without a lock, so that no call waits for another.

use std::sync::atomic::{AtomicU64, Ordering};

/// Set once a lookup has found the node.
const LOOKED_UP: u64 = 1 << 63;
/// Set once a directory was listed, or a symbolic link's target read.
const LISTED: u64 = 1 << 62;

/// What was done with one node, in two words, as there may be hundreds of thousands of nodes.
#[derive(Debug, Default)]
pub(crate) struct UseCounters {
    /// Bytes that were read, below the two flags.
    read: AtomicU64,
    /// Bytes that were written; of a directory those of the files of its entry that were removed.
    written: AtomicU64,
}

impl UseCounters {
    /// A lookup has found it.
    pub(crate) fn looked_up(&self) {
        self.set(LOOKED_UP);
    }

    /// It was listed, or its target read.
    pub(crate) fn listed(&self) {
        self.set(LISTED);
    }

    /// So many bytes of it were read.
    pub(crate) fn read(&self, bytes: usize) {
        self.read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// So many bytes of it were written.
    pub(crate) fn written(&self, bytes: u64) {
        self.written.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_looked_up(&self) -> bool {
        self.read.load(Ordering::Relaxed) & LOOKED_UP != 0
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.read.load(Ordering::Relaxed) & LISTED != 0
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed) & !(LOOKED_UP | LISTED)
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Sets it once: a line of a processor's cache that is only read can be in many of them.
    fn set(&self, flag: u64) {
        if self.read.load(Ordering::Relaxed) & flag == 0 {
            self.read.fetch_or(flag, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_bytes_do_not_disturb_each_other() {
        let counters = UseCounters::default();
        let state =
            |counters: &UseCounters| (counters.is_looked_up(), counters.is_listed(), counters.bytes_read());
        assert_eq!(state(&counters), (false, false, 0));
        counters.read(7);
        counters.written(3);
        counters.listed();
        counters.read(5);
        assert_eq!(state(&counters), (false, true, 12));
        counters.looked_up();
        counters.looked_up();
        assert_eq!((state(&counters), counters.bytes_written()), ((true, true, 12), 3));
    }
}
