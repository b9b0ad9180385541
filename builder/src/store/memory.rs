//! What stays true of held paths: they are valid, and their closures are what they are. Asking takes a program of Nix.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::store_path::StorePath;

/// How many closures are remembered. Builds of one graph have few inputs that no other has; each closure may be
/// thousands of paths.
const CLOSURES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// What was told of held paths.
#[derive(Debug)]
pub(super) struct Memory(Mutex<Told>);

#[derive(Debug)]
struct Told {
    valid: BTreeSet<StorePath>,
    closures: LruCache<BTreeSet<StorePath>, BTreeSet<StorePath>>,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory(Mutex::new(Told { valid: BTreeSet::new(), closures: LruCache::new(CLOSURES) }))
    }
}

impl Memory {
    /// Those that were not said to be valid yet.
    pub fn unknown(&self, paths: &BTreeSet<StorePath>) -> BTreeSet<StorePath> {
        paths.difference(&self.told().valid).cloned().collect()
    }

    /// Held paths have been found to be valid.
    pub fn are_valid(&self, paths: BTreeSet<StorePath>) {
        self.told().valid.extend(paths);
    }

    /// The closure of some paths, when it is known.
    pub fn closure(&self, paths: &BTreeSet<StorePath>) -> Option<BTreeSet<StorePath>> {
        self.told().closures.get(paths).cloned()
    }

    /// Remembers the closure of paths that are held.
    pub fn has_closure(&self, paths: &BTreeSet<StorePath>, closure: &BTreeSet<StorePath>) {
        let mut told = self.told();
        if paths.is_subset(&told.valid) {
            told.closures.put(paths.clone(), closure.clone());
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
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
        let memory = Memory::default();
        memory.has_closure(&paths(&["a"]), &paths(&["a", "b"]));
        assert_eq!(memory.closure(&paths(&["a"])), None);
        memory.are_valid(paths(&["a"]));
        assert_eq!(memory.unknown(&paths(&["a", "b"])), paths(&["b"]));
        memory.has_closure(&paths(&["a"]), &paths(&["a", "b"]));
        assert_eq!(memory.closure(&paths(&["a"])), Some(paths(&["a", "b"])));
    }
}
