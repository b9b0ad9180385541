//! The indices of a view's directories.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lru::LruCache;
use parking_lot::Mutex;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::attributes::Time;
use super::dir_index::DirIndex;
use super::error::Error;
use super::node::NodeId;
use crate::limits::{DIR_CACHE_NAMES_MAX, DIR_INDEX_NAMES_MAX};

/// The directory indices of a view.
pub(crate) struct DirCache {
    /// Of directories that may change: not evicted, since cookies depend on their history.
    changing: Mutex<FxHashMap<NodeId, Arc<Mutex<DirIndex>>>>,
    /// Names that were read into those.
    names: AtomicUsize,
    fixed: Mutex<ImmutableIndices>,
    /// What the order of names is decided by, if not by themselves or their age.
    order: Option<u64>,
}

/// Indices of directories that cannot change: evicted, since sorting gives the same cookies again.
struct ImmutableIndices {
    indices: LruCache<NodeId, CachedIndex, FxBuildHasher>,
    /// Names in all indices, plus one for each.
    weight: usize,
}

struct CachedIndex {
    index: Arc<Mutex<DirIndex>>,
    weight: usize,
}

impl DirCache {
    pub(crate) fn new(order: Option<u64>) -> DirCache {
        let indices = LruCache::unbounded_with_hasher(FxBuildHasher);
        DirCache {
            changing: Mutex::default(),
            names: AtomicUsize::new(0),
            fixed: Mutex::new(ImmutableIndices { indices, weight: 0 }),
            order,
        }
    }

    /// The index of a directory; a new one when there is none.
    pub(crate) fn of(&self, directory: NodeId, fixed: bool) -> Arc<Mutex<DirIndex>> {
        let new = || Arc::new(Mutex::new(DirIndex::new(fixed, self.order)));
        if !fixed {
            return Arc::clone(self.changing.lock().entry(directory).or_insert_with(new));
        }
        let mut fixed = self.fixed.lock();
        if let Some(kept) = fixed.indices.get(&directory) {
            return Arc::clone(&kept.index);
        }
        let index = new();
        fixed.keep(directory, Arc::clone(&index), 0);
        index
    }

    /// Records the number of names in the index of a directory that cannot change.
    pub(crate) fn grew(&self, directory: NodeId, index: &Arc<Mutex<DirIndex>>, names: usize) {
        self.fixed.lock().keep(directory, Arc::clone(index), names);
    }

    /// Makes room in the index of a directory that may change.
    ///
    /// # Errors
    /// [`Error::Quota`] when there are too many names.
    pub(crate) fn reserve(&self, index: &DirIndex, names: usize) -> Result<(), Error> {
        let others = self.names.fetch_sub(index.loaded(), Ordering::Relaxed) - index.loaded();
        let fits = names <= DIR_INDEX_NAMES_MAX.saturating_sub(others);
        self.names.fetch_add(if fits { names } else { index.loaded() }, Ordering::Relaxed);
        if fits { Ok(()) } else { Err(Error::Quota) }
    }

    /// A directory was created, empty.
    pub(crate) fn begin(&self, directory: NodeId) {
        let mut index = DirIndex::new(false, self.order);
        index.refresh(Vec::new(), (Time::default(), Time::default()));
        self.changing.lock().insert(directory, Arc::new(Mutex::new(index)));
    }

    /// A name was created in a directory or leads to another node now.
    pub(crate) fn add(&self, directory: NodeId, name: &[u8], node: Option<NodeId>) {
        if let Some(index) = self.changing(directory) {
            index.lock().add(name, node);
        }
    }

    /// A name was removed from a directory.
    pub(crate) fn remove(&self, directory: NodeId, name: &[u8]) {
        if let Some(index) = self.changing(directory) {
            index.lock().remove(name);
        }
    }

    /// A directory was removed.
    pub(crate) fn forget(&self, directory: NodeId) {
        let removed = self.changing.lock().remove(&directory);
        if let Some(index) = removed {
            self.names.fetch_sub(index.lock().loaded(), Ordering::Relaxed);
        }
    }

    fn changing(&self, directory: NodeId) -> Option<Arc<Mutex<DirIndex>>> {
        self.changing.lock().get(&directory).cloned()
    }
}

impl ImmutableIndices {
    /// Inserts an index and evicts the least recently used ones beyond the limit.
    fn keep(&mut self, directory: NodeId, index: Arc<Mutex<DirIndex>>, names: usize) {
        let weight = names + 1;
        self.weight += weight;
        if let Some(earlier) = self.indices.put(directory, CachedIndex { index, weight }) {
            self.weight -= earlier.weight;
        }
        while self.weight > DIR_CACHE_NAMES_MAX && self.indices.len() > 1 {
            let Some((_, dropped)) = self.indices.pop_lru() else { return };
            self.weight -= dropped.weight;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::dir_index::CachedName;
    use super::*;

    #[test]
    fn listings_that_cannot_change_are_dropped_when_they_hold_too_many_names() {
        let dir_cache = DirCache::new(None);
        for directory in 0..4 {
            let index = dir_cache.of(directory, true);
            index.lock().refresh(vec![(*b"name").into()], Default::default());
            dir_cache.grew(directory, &index, DIR_CACHE_NAMES_MAX / 3);
        }
        let is_loaded = |directory| dir_cache.of(directory, true).lock().is_loaded();
        assert_eq!([0, 1, 2, 3].map(is_loaded), [false, false, true, true]);
    }

    #[test]
    fn indices_that_just_fit_are_kept() {
        let dir_cache = DirCache::new(None);
        for directory in 0..2 {
            let index = dir_cache.of(directory, true);
            index.lock().refresh(vec![(*b"name").into()], Default::default());
            dir_cache.grew(directory, &index, DIR_CACHE_NAMES_MAX / 2 - 1);
            dir_cache.grew(directory, &index, DIR_CACHE_NAMES_MAX / 2 - 1);
        }
        let is_loaded = |directory| dir_cache.of(directory, true).lock().is_loaded();
        assert_eq!([0, 1].map(is_loaded), [true, true]);
        // One more, of no names but its own weight.
        assert_eq!([2, 0, 1].map(is_loaded), [false, false, true]);
    }

    #[test]
    fn names_that_do_not_fit_are_refused_until_a_directory_is_removed() {
        let dir_cache = DirCache::new(None);
        let load = |directory, names| {
            let index = dir_cache.of(directory, false);
            let mut index = index.lock();
            dir_cache.reserve(&index, names).inspect(|()| index.set_loaded(names))
        };
        assert_eq!(load(1, DIR_INDEX_NAMES_MAX - 2), Ok(()));
        assert_eq!(load(2, 2), Ok(()));
        assert_eq!(load(2, 3), Err(Error::Quota));
        assert_eq!(load(2, 2), Ok(()), "read again");
        dir_cache.forget(1);
        assert_eq!(load(2, 3), Ok(()));
    }

    #[test]
    fn a_single_index_is_kept_whatever_its_size() {
        let dir_cache = DirCache::new(None);
        let index = dir_cache.of(1, true);
        index.lock().refresh(vec![(*b"name").into()], Default::default());
        dir_cache.grew(1, &index, 2 * DIR_CACHE_NAMES_MAX);
        assert!(dir_cache.of(1, true).lock().is_loaded());
    }

    #[test]
    fn a_name_that_was_removed_is_absent_and_a_removed_directory_is_forgotten() {
        let dir_cache = DirCache::new(None);
        dir_cache.begin(1);
        dir_cache.add(1, b"a", Some(7));
        dir_cache.remove(1, b"a");
        assert_eq!(dir_cache.of(1, false).lock().get(b"a"), CachedName::Absent);
        dir_cache.forget(1);
        assert!(!dir_cache.of(1, false).lock().is_loaded());
    }

    #[test]
    fn a_new_directory_is_known_to_be_empty() {
        let dir_cache = DirCache::new(None);
        dir_cache.begin(1);
        dir_cache.add(1, b"a", Some(7));
        let index = dir_cache.of(1, false);
        let index = index.lock();
        assert_eq!((index.get(b"a"), index.get(b"b")), (CachedName::Node(7), CachedName::Absent));
    }
}
