//! How often each procedure was called.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::{mount, nfs};

const PROCEDURES: usize = nfs::PROCEDURES.len();

/// Calls answered so far, and those refused.
#[derive(Default)]
pub(crate) struct Counts {
    nfs: [AtomicU64; PROCEDURES],
    mount: AtomicU64,
    refused: AtomicU64,
}

/// The calls that a server has answered at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    nfs: [u64; PROCEDURES],
    mount: u64,
    refused: u64,
}

impl Counts {
    pub(crate) fn count(&self, program: u32, procedure: u32) {
        let counter = match program {
            mount::PROGRAM => Some(&self.mount),
            _ => usize::try_from(procedure).ok().and_then(|index| self.nfs.get(index)),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Calls {
        Calls {
            nfs: self.nfs.each_ref().map(|counter| counter.load(Ordering::Relaxed)),
            mount: self.mount.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl Calls {
    /// All NFS calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.nfs.iter().sum()
    }

    /// Calls that were refused before they reached a procedure: unknown, malformed, or from somebody else.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The NFS procedures by the names of RFC 1813, with how often each was called.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nfs::PROCEDURES.iter().map(|procedure| procedure.name).zip(self.nfs)
    }
}

impl Serialize for Calls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in self.iter().filter(|(_, count)| *count > 0) {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}
