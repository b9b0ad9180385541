//! Remembers which held paths are valid, and their closures: neither changes while they are held, and asking takes a
//! program of Nix.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::store_path::StorePath;

/// How many closures are remembered. Builds of one graph have few inputs that no other has; each closure may be
/// thousands of paths.
const CLOSURES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Held paths that were found valid, and their closures.
#[derive(Debug)]
pub(super) struct ValidityCache(Mutex<ValidityState>);

#[derive(Debug)]
struct ValidityState {
    valid: BTreeSet<StorePath>,
    closures: LruCache<BTreeSet<StorePath>, BTreeSet<StorePath>>,
}

impl Default for ValidityCache {
    fn default() -> ValidityCache {
        ValidityCache(Mutex::new(ValidityState { valid: BTreeSet::new(), closures: LruCache::new(CLOSURES) }))
    }
}

impl ValidityCache {
    /// Those that are not known to be valid.
    pub fn unknown(&self, paths: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        paths.difference(&self.lock().valid).cloned().collect()
    }

    /// Remembers held paths that were found valid.
    pub fn set_valid(&self, paths: BTreeSet<StorePath>) {
        self.lock().valid.extend(paths);
    }

    /// The closure of some paths, when it is known.
    pub fn closure(&self, paths: &BTreeSet<StorePath>) -> Option<BTreeSet<StorePath>> {
        self.lock().closures.get(paths).cloned()
    }

    /// Remembers the closure of paths that are held.
    pub fn set_closure(&self, paths: &BTreeSet<StorePath>, closure: &BTreeSet<StorePath>) {
        let mut state = self.lock();
        if paths.is_subset(&state.valid) {
            state.closures.put(paths.clone(), closure.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, ValidityState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> BTreeSet<StorePath> {
        let path = |name: &&str| StorePath::new(&format!("71fc7s32zl20dc955bhghy5dvalm7ndz-{name}")).unwrap();
        names.iter().map(path).collect()
    }

    #[test]
    fn only_closures_of_held_paths_are_remembered() {
        let validity_cache = ValidityCache::default();
        validity_cache.set_closure(&paths(&["a"]), &paths(&["a", "b"]));
        assert_eq!(validity_cache.closure(&paths(&["a"])), None);
        validity_cache.set_valid(paths(&["a"]));
        assert_eq!(validity_cache.unknown(&paths(&["a", "b"])), paths(&["b"]));
        validity_cache.set_closure(&paths(&["a"]), &paths(&["a", "b"]));
        assert_eq!(validity_cache.closure(&paths(&["a"])), Some(paths(&["a", "b"])));
    }
}
