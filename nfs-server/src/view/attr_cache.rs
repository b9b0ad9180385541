//! What the host said last of a node, and whether that is still so.
//!
//! Where nobody but the view changes files, what was said once stays true until the view does something, and is
//! told again without asking. Calls run side by side, so an answer counts only if nothing was done since it was asked
//! for: whoever changes a node says so *after* the change and before asking again.

use super::attributes::{Attributes, Time};

/// What the host said last of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AttrCache {
    last: Option<Attributes>,
    /// Nothing was done since.
    current: bool,
    /// What was done so far.
    changes: u32,
    /// Whether it has an access control list, and when it had last changed when that was asked.
    #[cfg(target_os = "linux")]
    list: Option<(Time, bool)>,
}

/// The moment at which the host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

impl AttrCache {
    /// What the host said just now of a node that was not known before.
    pub(crate) fn now(attributes: Attributes) -> AttrCache {
        AttrCache { last: Some(attributes), current: true, ..AttrCache::default() }
    }

    /// What was said last, true or not.
    pub(crate) fn last(&self) -> Option<Attributes> {
        self.last
    }

    /// What was said last, if it is still so.
    pub(crate) fn current(&self) -> Option<Attributes> {
        self.last.filter(|_| self.current)
    }

    /// Whether it has an access control list, if nothing has changed since that was asked.
    #[cfg(target_os = "linux")]
    pub(crate) fn has_acl(&self) -> Option<bool> {
        let (generation, has) = self.list?;
        (Some(generation) == self.last.map(|last| last.changed)).then_some(has)
    }

    /// Takes note whether it has one, in the state that was seen last.
    #[cfg(target_os = "linux")]
    pub(crate) fn set_acl(&mut self, has: bool) {
        self.list = self.last.map(|last| (last.changed, has));
    }

    /// Takes note that something was done.
    pub(crate) fn invalidate(&mut self) -> Generation {
        self.current = false;
        self.changes = self.changes.wrapping_add(1);
        self.generation()
    }

    /// To be called before the host is asked.
    pub(crate) fn generation(&self) -> Generation {
        Generation(self.changes)
    }

    /// Takes over what the host said to who asked at that moment.
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
    fn an_answer_from_before_a_change_does_not_count() {
        let mut cache = AttrCache::now(of_size(1));
        let reader = cache.generation();
        let writer = cache.invalidate();
        assert_eq!(cache.current(), None);
        cache.store(writer, &of_size(2));
        cache.store(reader, &of_size(1));
        assert_eq!(cache.current(), Some(of_size(2)));
    }

    #[test]
    fn of_two_changes_the_later_ones_answer_counts() {
        let mut cache = AttrCache::now(of_size(1));
        let (first, second) = (cache.invalidate(), cache.invalidate());
        cache.store(first, &of_size(2));
        assert_eq!((cache.current(), cache.last()), (None, Some(of_size(1))));
        cache.store(second, &of_size(3));
        assert_eq!(cache.current(), Some(of_size(3)));
    }
}
