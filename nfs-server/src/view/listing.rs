//! The names in directories of the host, each with a cookie that it keeps.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::attributes::Time;
use super::node::NodeId;
use crate::limits::FIXED_LISTINGS_MAX;

/// Cookies of host names start here; lower ones are `.`, `..` and declared names.
pub(crate) const FIRST_COOKIE: u64 = 1 << 32;

/// The names in one directory.
///
/// Every name gets its cookie once and the cookies increase, so a listing that goes on behind a cookie neither
/// skips nor repeats a name, whatever is made and deleted meanwhile.
#[derive(Default)]
pub(crate) struct Listing {
    by_cookie: BTreeMap<u64, Arc<[u8]>>,
    by_name: FxHashMap<Arc<[u8]>, u64>,
    next: u64,
    /// When the directory had last changed when it was read.
    version: Option<(Time, Time)>,
}

/// The listings of a view.
pub(crate) struct Listings {
    /// Of directories that may change: kept, since their cookies depend on what happened.
    changing: Mutex<FxHashMap<NodeId, Arc<Mutex<Listing>>>>,
    /// Of all others: may be dropped, since sorting gives the same cookies again.
    fixed: Mutex<LruCache<NodeId, Arc<Mutex<Listing>>, FxBuildHasher>>,
}

impl Listing {
    /// Whether the directory was read when it had these times of change.
    pub(crate) fn is_current(&self, version: (Time, Time)) -> bool {
        self.version == Some(version)
    }

    /// Whether it was ever read.
    pub(crate) fn was_read(&self) -> bool {
        self.version.is_some()
    }

    /// Takes over the names that the host has now. Known names keep their cookies.
    pub(crate) fn refresh(&mut self, mut names: Vec<Box<[u8]>>, version: (Time, Time)) {
        names.sort_unstable();
        let gone: Vec<Arc<[u8]>> = self
            .by_name
            .keys()
            .filter(|known| names.binary_search_by(|name| (**name).cmp(known)).is_err())
            .cloned()
            .collect();
        for name in gone {
            self.remove(&name);
        }
        for name in names {
            self.add(&name);
        }
        self.version = Some(version);
    }

    pub(crate) fn add(&mut self, name: &[u8]) {
        if self.by_name.contains_key(name) {
            return;
        }
        let cookie = FIRST_COOKIE + self.next;
        self.next += 1;
        let name: Arc<[u8]> = name.into();
        self.by_cookie.insert(cookie, Arc::clone(&name));
        self.by_name.insert(name, cookie);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Some(cookie) = self.by_name.remove(name) {
            self.by_cookie.remove(&cookie);
        }
    }

    /// Up to `count` names behind a cookie.
    pub(crate) fn behind(&self, cookie: u64, count: usize) -> Vec<(u64, Arc<[u8]>)> {
        let behind = self.by_cookie.range(cookie.saturating_add(1)..);
        behind.take(count).map(|(cookie, name)| (*cookie, Arc::clone(name))).collect()
    }
}

impl Listings {
    pub(crate) fn new() -> Listings {
        let capacity = NonZeroUsize::new(FIXED_LISTINGS_MAX).unwrap_or(NonZeroUsize::MIN);
        Listings {
            changing: Mutex::default(),
            fixed: Mutex::new(LruCache::with_hasher(capacity, FxBuildHasher)),
        }
    }

    /// The listing of a directory, empty when it was never read or has been dropped.
    pub(crate) fn of(&self, directory: NodeId, may_change: bool) -> Arc<Mutex<Listing>> {
        if may_change {
            return Arc::clone(self.changing.lock().entry(directory).or_default());
        }
        let mut fixed = self.fixed.lock();
        if let Some(listing) = fixed.get(&directory) {
            return Arc::clone(listing);
        }
        let listing = Arc::<Mutex<Listing>>::default();
        fixed.put(directory, Arc::clone(&listing));
        listing
    }

    /// Tells the listing of a directory, if there is one, that a name came.
    pub(crate) fn add(&self, directory: NodeId, name: &[u8]) {
        if let Some(listing) = self.changing(directory) {
            listing.lock().add(name);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listing: &Listing, behind: u64) -> Vec<String> {
        let names = listing.behind(behind, usize::MAX);
        names.iter().map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()
    }

    fn listing(names: &[&str]) -> Listing {
        let mut listing = Listing::default();
        listing.refresh(names.iter().map(|name| name.as_bytes().into()).collect(), Default::default());
        listing
    }

    #[test]
    fn a_name_keeps_its_cookie_while_others_come_and_go() {
        let mut listing = listing(&["a", "b", "c", "d"]);
        let second = listing.behind(0, 2)[1].0;
        listing.remove(b"a");
        listing.remove(b"c");
        listing.add(b"aa");
        assert_eq!(names(&listing, second), ["d", "aa"]);
        let again = ["b", "d", "aa", "e"].iter().map(|name| name.as_bytes().into()).collect();
        listing.refresh(again, Default::default());
        assert_eq!(names(&listing, second), ["d", "aa", "e"]);
    }

    #[test]
    fn a_dropped_listing_comes_back_with_the_same_cookies() {
        assert_eq!(listing(&["x", "y"]).behind(0, 9), listing(&["y", "x"]).behind(0, 9));
    }
}
