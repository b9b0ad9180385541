//! Inode numbers: the host's own where they are unique, ranges apart for everything else, never 0.

use std::hash::{Hash, Hasher};
use std::path::Path;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use siphasher::sip::SipHasher13;

use super::variation::FileIdOrder;
use crate::limits::NODES_MAX;

/// Numbers of what only the view has.
const SYNTHETIC: u64 = 1 << 62;

/// Numbers of files on a device other than the one that most of the view lies on.
const OTHER_DEVICE: u64 = 1 << 63;

/// The middle of the numbers of files that have them in an order. No host's are as large.
const ORDERED: u64 = 1 << 61;

/// Bits of the host's number kept there; the rest tells the device.
const INODE_BITS: u32 = 48;

/// Gives every file a number that is the same in every mount.
///
/// Compilers' caches know a file by inode number, time and size, so a number of our own would make each of them
/// look new.
pub(crate) struct FileIds {
    main_device: Option<u64>,
    /// Numbers in an order, where the host's own are not shown.
    ordered: Option<Mutex<Ordered>>,
    /// A tag for each other device, from its number unless that tag is taken.
    tags: Mutex<FxHashMap<u64, u64>>,
}

impl FileIds {
    pub(crate) fn new(main_device: Option<u64>, order: Option<FileIdOrder>) -> FileIds {
        let ordered = order.map(|order| Mutex::new(Ordered { order, given: FxHashMap::default() }));
        FileIds { main_device, ordered, tags: Mutex::default() }
    }

    /// The number of a host file.
    pub(crate) fn of(&self, device: u64, inode: u64) -> u64 {
        if let Some(ordered) = &self.ordered
            && let Some(number) = ordered.lock().of(device, inode)
        {
            return number;
        }
        if self.main_device == Some(device) && inode != 0 && is_host_inode(inode) {
            return inode;
        }
        let low = inode & ((1 << INODE_BITS) - 1);
        OTHER_DEVICE | (self.tag(device) << INODE_BITS) | low
    }

    /// The number of a place that no host file backs.
    pub(crate) fn of_path(&self, path: &Path) -> u64 {
        SYNTHETIC | (hash(path.as_os_str().as_encoded_bytes()) >> 2)
    }

    fn tag(&self, device: u64) -> u64 {
        const TAGS: u64 = 1 << (62 - INODE_BITS);
        let mut tags = self.tags.lock();
        if let Some(tag) = tags.get(&device) {
            return *tag;
        }
        let first = hash(&device.to_be_bytes()) % TAGS;
        let free =
            (0..TAGS).map(|step| (first + step) % TAGS).find(|tag| tags.values().all(|used| used != tag));
        let tag = free.unwrap_or(first);
        tags.insert(device, tag);
        tag
    }
}

/// Numbers that files have in the order in which they are asked for.
struct Ordered {
    order: FileIdOrder,
    given: FxHashMap<(u64, u64), u64>,
}

impl Ordered {
    /// The number of a host file; `None` once there are too many.
    fn of(&mut self, device: u64, inode: u64) -> Option<u64> {
        let before = self.given.len();
        if let Some(number) = self.given.get(&(device, inode)) {
            return Some(*number);
        }
        if before >= NODES_MAX {
            return None;
        }
        let distance = before as u64 + 1;
        let number = match self.order {
            FileIdOrder::Ascending => ORDERED + distance,
            FileIdOrder::Descending => ORDERED - distance,
        };
        self.given.insert((device, inode), number);
        Some(number)
    }
}

/// Whether a file's number in a view is the one that it has on the host, and not one that the view gave it.
#[must_use]
pub fn is_host_inode(number: u64) -> bool {
    number < SYNTHETIC
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = SipHasher13::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_main_device_keeps_its_numbers_and_others_never_meet_them() {
        let ids = FileIds::new(Some(7), None);
        assert_eq!(ids.of(7, 42), 42);
        assert_ne!(ids.of(8, 42), 42);
        assert_ne!(ids.of(8, 42), ids.of(9, 42));
        assert_ne!(ids.of(7, 0), 0);
    }

    #[test]
    fn each_kind_of_number_has_a_range_of_its_own() {
        let ids = FileIds::new(Some(7), None);
        let mut of_devices = std::collections::BTreeSet::new();
        for device in 0..100 {
            for inode in [1, 42, (1 << INODE_BITS) - 1] {
                let number = ids.of(100 + device, inode);
                assert_eq!((number >> 62, number & ((1 << INODE_BITS) - 1)), (2, inode), "{device} {inode}");
                of_devices.insert(number);
            }
            assert_eq!(ids.of(100 + device, 1), ids.of(100 + device, 1), "the same each time");
        }
        assert_eq!(of_devices.len(), 300);
        assert_eq!(ids.of_path(Path::new("/etc")) >> 62, 1);
        assert_eq!(ids.of(7, SYNTHETIC - 1), SYNTHETIC - 1);
        assert_ne!(ids.of(7, SYNTHETIC), SYNTHETIC, "not taken for a synthetic one");
        assert_eq!([SYNTHETIC - 1, SYNTHETIC, OTHER_DEVICE].map(is_host_inode), [true, false, false]);
    }

    #[test]
    fn numbers_in_an_order_are_those_of_the_order_in_which_files_are_seen() {
        for (order, sign) in [(FileIdOrder::Ascending, 1), (FileIdOrder::Descending, -1)] {
            let ids = FileIds::new(Some(7), Some(order));
            let first = ids.of(7, 1000);
            let next = |number: u64| first.wrapping_add_signed(sign * i64::try_from(number).unwrap());
            assert_eq!([ids.of(7, 2), ids.of(8, 1000), ids.of(7, 1000)], [next(1), next(2), first]);
            assert!(is_host_inode(first), "apart from those of the view's own");
        }
    }

    #[test]
    fn synthetic_numbers_depend_on_the_path_alone() {
        let (one, two) = (FileIds::new(Some(1), None), FileIds::new(Some(2), None));
        assert_eq!(one.of_path(Path::new("/etc")), two.of_path(Path::new("/etc")));
        assert_ne!(one.of_path(Path::new("/etc")), one.of_path(Path::new("/dev")));
    }
}
