//! What the host said last of a node, and whether that is still so.
//!
//! Where nobody but the view changes files, what was said once stays true until the view does something, and is
//! told again without asking. Calls run side by side, so an answer counts only if nothing was done since it was asked
//! for: whoever changes a node says so *after* the change and before asking again.

use super::attributes::{Attributes, Time};

/// What the host said last of a node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
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
pub(crate) struct Asked(u32);

/// What was last told of a node: the next change finds it like this, since all changes come through here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Bytes in it.
    pub size: u64,
    /// Last change of the contents.
    pub modified: Time,
    /// Last change of contents or attributes.
    pub changed: Time,
}

impl Seen {
    /// What the host said just now of a node that was not known before.
    pub(crate) fn now(attributes: Attributes) -> Seen {
        Seen { last: Some(attributes), current: true, ..Seen::default() }
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
    pub(crate) fn has_list(&self) -> Option<bool> {
        let (asked, has) = self.list?;
        (Some(asked) == self.last.map(|last| last.changed)).then_some(has)
    }

    /// Takes note whether it has one, in the state that was seen last.
    #[cfg(target_os = "linux")]
    pub(crate) fn note_list(&mut self, has: bool) {
        self.list = self.last.map(|last| (last.changed, has));
    }

    /// Takes note that something was done.
    pub(crate) fn outdate(&mut self) -> Asked {
        self.current = false;
        self.changes = self.changes.wrapping_add(1);
        self.asked()
    }

    /// To be called before the host is asked.
    pub(crate) fn asked(&self) -> Asked {
        Asked(self.changes)
    }

    /// Takes over what the host said to who asked at that moment.
    pub(crate) fn answered(&mut self, asked: Asked, attributes: &Attributes) {
        if asked == self.asked() {
            self.last = Some(*attributes);
            self.current = true;
        }
    }
}

impl From<Attributes> for Before {
    fn from(attributes: Attributes) -> Before {
        Before { size: attributes.size, modified: attributes.modified, changed: attributes.changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Kind;

    fn of_size(size: u64) -> Attributes {
        Attributes {
            kind: Kind::Regular,
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
        let mut seen = Seen::now(of_size(1));
        let reader = seen.asked();
        let writer = seen.outdate();
        assert_eq!(seen.current(), None);
        seen.answered(writer, &of_size(2));
        seen.answered(reader, &of_size(1));
        assert_eq!(seen.current(), Some(of_size(2)));
    }

    #[test]
    fn of_two_changes_the_later_ones_answer_counts() {
        let mut seen = Seen::now(of_size(1));
        let (first, second) = (seen.outdate(), seen.outdate());
        seen.answered(first, &of_size(2));
        assert_eq!((seen.current(), seen.last()), (None, Some(of_size(1))));
        seen.answered(second, &of_size(3));
        assert_eq!(seen.current(), Some(of_size(3)));
    }
}
