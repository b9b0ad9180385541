//! The attributes of a node as the host reported them last.
//!
//! Where only the view changes files, they stay valid until the view changes the file. Calls run concurrently, so a stat's
//! result is stored only if no change was made since the stat began: a change invalidates the cache *after* it was made
//! and before the next stat.

use super::attributes::Attributes;
#[cfg(any(target_os = "linux", test))]
use super::attributes::Time;

/// The cached attributes of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AttrCache {
    last: Option<Attributes>,
    /// Whether `last` is valid.
    current: bool,
    /// Changes so far.
    changes: u32,
    /// The ctime at which it was found out whether the node has an access control list, and whether it has.
    #[cfg(target_os = "linux")]
    list: Option<(Time, bool)>,
}

/// The number of changes when a stat began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl AttrCache {
    /// The cache of a new node, from a stat just made.
    pub(crate) fn now(attributes: Attributes) -> AttrCache {
        AttrCache { last: Some(attributes), current: true, ..AttrCache::default() }
    }

    /// The attributes last stored, valid or not.
    pub(crate) fn last(&self) -> Option<Attributes> {
        self.last
    }

    /// The attributes, if they are valid.
    pub(crate) fn current(&self) -> Option<Attributes> {
        self.last.filter(|_| self.current)
    }

    /// Whether the node has an access control list, if its ctime has not changed since that was found out.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_acl(&self) -> Option<bool> {
        let (generation, has) = self.list?;
        (Some(generation) == self.last.map(|last| last.changed)).then_some(has)
    }

    /// Stores whether it has one, for the ctime seen last.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_acl(&mut self, has: bool) {
        self.list = self.last.map(|last| (last.changed, has));
    }

    /// The node was changed.
    pub(crate) fn invalidate(&mut self) -> Generation {
        self.current = false;
        self.changes = self.changes.wrapping_add(1);
        self.generation()
    }

    /// To be called before a stat.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.changes)
    }

    /// Stores the result of a stat that began at `generation`.
    pub(crate) fn store(&mut self, generation: Generation, attributes: &Attributes) {
        if generation == self.generation() {
            self.last = Some(*attributes);
            self.current = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::FileType;

    fn of_size(size: u64) -> Attributes {
        Attributes {
            kind: FileType::Regular,
            mode: 0o644,
            links: 1,
            uid: 0,
            gid: 0,
            size,
            used: 0,
            device: (0, 0),
            fileid: 1,
            accessed: Time::default(),
            modified: Time::default(),
            changed: Time::default(),
        }
    }

    #[test]
    fn a_stat_from_before_a_change_is_not_stored() {
        let mut cache = AttrCache::now(of_size(1));
        let reader = cache.generation();
        let writer = cache.invalidate();
        assert_eq!(cache.current(), None);
        cache.store(writer, &of_size(2));
        cache.store(reader, &of_size(1));
        assert_eq!(cache.current(), Some(of_size(2)));
    }

    #[test]
    fn of_two_changes_the_stat_after_the_later_is_stored() {
        let mut cache = AttrCache::now(of_size(1));
        let (first, second) = (cache.invalidate(), cache.invalidate());
        cache.store(first, &of_size(2));
        assert_eq!((cache.current(), cache.last()), (None, Some(of_size(1))));
        cache.store(second, &of_size(3));
        assert_eq!(cache.current(), Some(of_size(3)));
    }
}
