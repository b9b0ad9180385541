//! The listings of a view's directories, and how many are kept.

use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::attributes::Time;
use super::listing::Listing;
use super::node::NodeId;
use crate::limits::FIXED_NAMES_MAX;

/// The listings of a view.
pub(crate) struct Listings {
    /// Of directories that may change: kept, since their cookies depend on what happened.
    changing: Mutex<FxHashMap<NodeId, Arc<Mutex<Listing>>>>,
    fixed: Mutex<Fixed>,
}

/// Listings of directories that cannot change: may be dropped, since sorting gives the same cookies again.
struct Fixed {
    listings: LruCache<NodeId, Kept, FxBuildHasher>,
    /// Names in all of them, and one more for each.
    weight: usize,
}

struct Kept {
    listing: Arc<Mutex<Listing>>,
    weight: usize,
}

impl Listings {
    pub(crate) fn new() -> Listings {
        let listings = LruCache::unbounded_with_hasher(FxBuildHasher);
        Listings { changing: Mutex::default(), fixed: Mutex::new(Fixed { listings, weight: 0 }) }
    }

    /// The listing of a directory, empty when it was never read or has been dropped.
    pub(crate) fn of(&self, directory: NodeId, fixed: bool) -> Arc<Mutex<Listing>> {
        let new = || Arc::new(Mutex::new(Listing::new(fixed)));
        if !fixed {
            return Arc::clone(self.changing.lock().entry(directory).or_insert_with(new));
        }
        let mut fixed = self.fixed.lock();
        if let Some(kept) = fixed.listings.get(&directory) {
            return Arc::clone(&kept.listing);
        }
        let listing = new();
        fixed.keep(directory, Arc::clone(&listing), 0);
        listing
    }

    /// Tells how many names were read into the listing of a directory that cannot change.
    pub(crate) fn grew(&self, directory: NodeId, listing: &Arc<Mutex<Listing>>, names: usize) {
        self.fixed.lock().keep(directory, Arc::clone(listing), names);
    }

    /// A directory was made: nothing is in it.
    pub(crate) fn begin(&self, directory: NodeId) {
        let mut listing = Listing::new(false);
        listing.refresh(Vec::new(), (Time::default(), Time::default()));
        self.changing.lock().insert(directory, Arc::new(Mutex::new(listing)));
    }

    /// Tells the listing of a directory, if there is one, that a name came or leads elsewhere now.
    pub(crate) fn add(&self, directory: NodeId, name: &[u8], node: Option<NodeId>) {
        if let Some(listing) = self.changing(directory) {
            listing.lock().add(name, node);
        }
    }

    /// Tells the listing of a directory, if there is one, that a name went.
    pub(crate) fn remove(&self, directory: NodeId, name: &[u8]) {
        if let Some(listing) = self.changing(directory) {
            listing.lock().remove(name);
        }
    }

    /// Drops the listing of a directory that is no more.
    pub(crate) fn forget(&self, directory: NodeId) {
        self.changing.lock().remove(&directory);
    }

    fn changing(&self, directory: NodeId) -> Option<Arc<Mutex<Listing>>> {
        self.changing.lock().get(&directory).cloned()
    }
}

impl Fixed {
    /// Keeps a listing, and drops those used longest ago that there is no room for any more.
    fn keep(&mut self, directory: NodeId, listing: Arc<Mutex<Listing>>, names: usize) {
        let weight = names + 1;
        self.weight += weight;
        if let Some(earlier) = self.listings.put(directory, Kept { listing, weight }) {
            self.weight -= earlier.weight;
        }
        while self.weight > FIXED_NAMES_MAX && self.listings.len() > 1 {
            let Some((_, dropped)) = self.listings.pop_lru() else { return };
            self.weight -= dropped.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listing::Recalled;
    use super::*;

    #[test]
    fn listings_that_cannot_change_are_dropped_when_they_hold_too_many_names() {
        let listings = Listings::new();
        for directory in 0..4 {
            let listing = listings.of(directory, true);
            listing.lock().refresh(vec![(*b"name").into()], Default::default());
            listings.grew(directory, &listing, FIXED_NAMES_MAX / 3);
        }
        let was_read = |directory| listings.of(directory, true).lock().was_read();
        assert_eq!([0, 1, 2, 3].map(was_read), [false, false, true, true]);
    }

    #[test]
    fn a_new_directory_is_known_to_be_empty() {
        let listings = Listings::new();
        listings.begin(1);
        listings.add(1, b"a", Some(7));
        let listing = listings.of(1, false);
        let listing = listing.lock();
        assert_eq!((listing.recall(b"a"), listing.recall(b"b")), (Recalled::Node(7), Recalled::Absent));
    }
}
