//! What a view may vary, to find out what depends on it: the order of names, inode numbers, times.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attributes::Time;
use super::setattr::{SetAttributes, SetTime};

/// What is made this long before a view is opened was made for it.
const BEFORE: Duration = Duration::from_secs(60);

/// What a view shows otherwise. By default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewVariation {
    /// Names in a directory are listed in an order that this number decides on. Those that the view declares come first, in
    /// their own order.
    pub readdir_order: Option<u64>,
    /// Host files have inode numbers in the order in which they were first looked at, and not the host's own.
    pub fileids: Option<FileIdOrder>,
    /// The time, in seconds since 1970, at which files seem to be made that are made when the view is opened; later ones as
    /// much later. Older files keep their times.
    pub opened_at: Option<i64>,
}

/// Inode numbers in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileIdOrder {
    /// Each is larger than the one before.
    Ascending,
    /// Each is smaller.
    Descending,
}

/// How far times are from what they seem to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TimeShift {
    /// The first time that is shown as another.
    from: Time,
    /// Nanoseconds; none are shown as others if it is 0.
    by: i64,
}

impl TimeShift {
    /// For a view that was opened at this time.
    pub(crate) fn new(opened: Time, variation: ViewVariation) -> TimeShift {
        let by = variation.opened_at.map_or(0, |seconds| Time::new(seconds, 0).since(opened));
        TimeShift { from: opened.moved(-nanoseconds(BEFORE)), by }
    }

    /// What a time of the host is shown as.
    pub(crate) fn shown(self, time: Time) -> Time {
        if self.by != 0 && time >= self.from { time.moved(self.by) } else { time }
    }

    /// What has to be set so that the time is shown that a client sets.
    pub(crate) fn unshifted(self, set: &SetAttributes) -> SetAttributes {
        let unshifted = |set| match set {
            SetTime::To(time) if self.by != 0 && time >= self.from.moved(self.by) => {
                SetTime::To(time.moved(-self.by))
            }
            set => set,
        };
        SetAttributes { accessed: unshifted(set.accessed), modified: unshifted(set.modified), ..*set }
    }
}

fn nanoseconds(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_in_the_view_is_made_at_another_time() {
        let opened = Time::new(1_000_000, 500);
        for opened_at in [5_000_000, 900_000] {
            let shift = TimeShift::new(
                opened,
                ViewVariation { opened_at: Some(opened_at), ..ViewVariation::default() },
            );
            assert_eq!(shift.shown(opened), Time::new(opened_at, 0));
            let later = Time::new(1_000_007, 700);
            assert_eq!(shift.shown(later), Time::new(opened_at + 7, 200));
            let old = Time::new(1, 0);
            assert_eq!(shift.shown(old), old);
            for time in [shift.shown(later), old] {
                let set = SetAttributes { modified: SetTime::To(time), ..SetAttributes::default() };
                let SetTime::To(unshifted) = shift.unshifted(&set).modified else { panic!("it is set") };
                assert_eq!(shift.shown(unshifted), time);
            }
        }
    }

    #[test]
    fn nothing_is_shown_otherwise_unless_that_is_asked_for() {
        let (opened, shift) = (Time::new(7, 3), TimeShift::new(Time::new(7, 3), ViewVariation::default()));
        let set = SetAttributes { accessed: SetTime::To(opened), ..SetAttributes::default() };
        assert_eq!((shift.shown(opened), shift.unshifted(&set)), (opened, set));
    }
}
