//! A snapshot of the call counters.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::call_counters::{CallCounters, PROCEDURES};
use crate::nfs;

/// The number of calls by procedure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallCounts {
    nfs: [u64; PROCEDURES],
    mount: u64,
    blocking: u64,
    refused: u64,
    bytes_read: u64,
    bytes_written: u64,
}

impl CallCounts {
    pub(crate) fn of(counters: &CallCounters) -> CallCounts {
        CallCounts {
            nfs: counters.nfs(),
            mount: counters.mount(),
            blocking: counters.blocking(),
            refused: counters.refused(),
            bytes_read: counters.bytes_read(),
            bytes_written: counters.bytes_written(),
        }
    }

    /// The same as numbers alone, for another process.
    #[must_use]
    pub fn to_numbers(&self) -> Vec<u64> {
        let mut numbers = self.nfs.to_vec();
        numbers.extend([self.mount, self.blocking, self.refused, self.bytes_read, self.bytes_written]);
        numbers
    }

    /// What [`CallCounts::to_numbers`] says; what is missing counts as 0.
    #[must_use]
    pub fn from_numbers(numbers: &[u64]) -> CallCounts {
        let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
        CallCounts {
            nfs: std::array::from_fn(number),
            mount: number(PROCEDURES),
            blocking: number(PROCEDURES + 1),
            refused: number(PROCEDURES + 2),
            bytes_read: number(PROCEDURES + 3),
            bytes_written: number(PROCEDURES + 4),
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

    /// NFS calls that the blocking pool executed.
    #[must_use]
    pub fn blocking(&self) -> u64 {
        self.blocking
    }

    /// Refused connections, and calls that reached no procedure: unknown, malformed, or by another user.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Bytes that READ has answered with.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Bytes that WRITE has written.
    #[must_use]
    pub fn bytes_written(&self) -> u64 {
        self.bytes_written
    }

    /// The NFS procedures by the names of RFC 1813, with how often each was called.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        nfs::PROCEDURES.iter().map(|procedure| procedure.name).zip(self.nfs)
    }
}

impl<'de> Deserialize<'de> for CallCounts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<CallCounts, D::Error> {
        let counts = BTreeMap::<String, u64>::deserialize(from)?;
        let nfs = nfs::PROCEDURES.map(|procedure| counts.get(procedure.name).copied().unwrap_or(0));
        Ok(CallCounts { nfs, ..CallCounts::default() })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_another_process_say_all_that_is_counted() {
        let numbers: Vec<u64> = (1..=PROCEDURES as u64 + 5).collect();
        let counts = CallCounts::from_numbers(&numbers);
        assert_eq!(counts.to_numbers(), numbers);
        let first = PROCEDURES as u64 + 1;
        assert_eq!((counts.mount(), counts.blocking(), counts.refused()), (first, first + 1, first + 2));
        assert_eq!((counts.bytes_read(), counts.bytes_written()), (first + 3, first + 4));
        assert_eq!(CallCounts::from_numbers(&numbers[..2]).total(), 3, "what is missing is 0");
    }
}
