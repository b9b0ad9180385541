//! Stats several names of a directory with few system calls, where system calls are slow.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use parking_lot::Mutex;

use super::dir_index::IndexedName;
use super::host_capabilities::HostCapabilities;
use super::node::Node;
use super::{View, host};
use crate::sys::StatRing;

/// The smallest batch.
const SEVERAL: usize = 4;

/// Stats by io_uring.
pub(crate) struct StatBatcher(Mutex<RingState>);

enum RingState {
    Untried,
    Ready(Box<StatRing>),
    /// The kernel refused.
    Never,
}

impl RingState {
    fn tried() -> RingState {
        StatRing::new().map_or(RingState::Never, |ring| RingState::Ready(Box::new(ring)))
    }
}

impl StatBatcher {
    /// `None` where system calls are cheap. Who may make no ring later on has it made at once.
    pub(crate) fn on(capabilities: HostCapabilities, at_once: bool) -> Option<StatBatcher> {
        let state = || if at_once { RingState::tried() } else { RingState::Untried };
        (!capabilities.cheap_syscalls).then(|| StatBatcher(Mutex::new(state())))
    }

    /// Stats names in a directory; `None` if that has to be done one by one.
    fn stat(&self, directory: &OwnedFd, names: &[&[u8]]) -> Option<Vec<Result<FileStat, Errno>>> {
        // Do not wait for another thread's batch.
        let mut state = self.0.try_lock()?;
        if matches!(*state, RingState::Untried) {
            *state = RingState::tried();
        }
        let RingState::Ready(ring) = &mut *state else { return None };
        let said = ring.stat(directory.as_fd(), names);
        if let Err(error) = &said {
            tracing::debug!(
                error = error as &dyn std::error::Error,
                "io_uring failed; using single stat calls from now on"
            );
            *state = RingState::Never;
        }
        said.ok()
    }
}

impl View {
    /// Stats the names of a batch that have no node yet. Names that fail are left to be looked up one by one.
    ///
    /// In fixed grafts only: results are used some time after they were made.
    pub(crate) fn prefetch_attributes(&self, directory: &Node, batch: &mut [(u64, IndexedName)]) {
        let Some(stat_batcher) = self.stat_batcher.as_ref().filter(|_| self.is_fixed(directory)) else {
            return;
        };
        let unknown: Vec<&mut IndexedName> =
            batch.iter_mut().map(|(_, known)| known).filter(|known| known.node.is_none()).collect();
        if unknown.len() < SEVERAL {
            return;
        }
        let Ok(holder) = self.directory(directory.id()) else { return };
        let names: Vec<&[u8]> = unknown.iter().map(|known| &*known.name).collect();
        let Some(said) = stat_batcher.stat(&holder, &names) else { return };
        for (known, said) in unknown.into_iter().zip(said) {
            let Ok(stat) = said else { continue };
            let attributes = self.host_attributes(&stat);
            let (part, parent) = (directory.entry_index(), directory.id());
            let name = Arc::clone(&known.name);
            let node = self.nodes.intern(part, parent, name, host::identity(&stat), &attributes);
            known.node = node.ok().map(|node| node.id);
        }
    }
}
