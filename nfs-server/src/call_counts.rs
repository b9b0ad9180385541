//! How often each procedure was called, by name.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::call_counters::{CallCounters, PROCEDURES};
use crate::nfs;

/// The calls that a server has answered at some moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    nfs: [u64; PROCEDURES],
    mount: u64,
    blocking: u64,
    refused: u64,
}

impl CallCounts {
    pub(crate) fn of(counters: &CallCounters) -> CallCounts {
        CallCounts {
            nfs: counters.nfs(),
            mount: counters.mount(),
            blocking: counters.blocking(),
            refused: counters.refused(),
        }
    }

    /// All NFS calls.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.nfs.iter().sum()
    }

    /// All MOUNT calls.
    #[must_use]
    pub fn mount(&self) -> u64 {
        self.mount
    }

    /// Those of the NFS calls that had to wait for a disk, and were carried out apart from the others.
    #[must_use]
    pub fn blocking(&self) -> u64 {
        self.blocking
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

impl Serialize for CallCounts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, count) in self.iter().filter(|(_, count)| *count > 0) {
            map.serialize_entry(name, &count)?;
        }
        map.end()
    }
}
