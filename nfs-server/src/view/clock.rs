//! The clock that a view's files seem to have their times from: the host's, unless it is to be another, or to jump.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use parking_lot::RwLock;

use super::attributes::Time;
use super::setattr::{SetAttributes, SetTime};
use super::variation::TimeShift;
use super::{View, ViewVariation};
use crate::limits::{CLOCK_JUMPS_MAX, CLOCK_TICK};

/// How times of the host are shown.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    shift: TimeShift,
    /// Whether there are jumps: most clocks have none.
    has_jumped: AtomicBool,
    /// In the order of their times.
    jumps: RwLock<Vec<Jump>>,
}

/// A moment at which the clock jumped.
#[derive(Clone, Copy, Debug)]
struct Jump {
    /// The first time of the host after it.
    from: Time,
    /// How far times from here on are from those of a clock that never jumped, in nanoseconds.
    by: i64,
}

impl Clock {
    /// Of a view that was opened at this time.
    pub(crate) fn new(opened: Time, variation: ViewVariation) -> Clock {
        Clock { shift: TimeShift::new(opened, variation), ..Clock::default() }
    }

    /// What a time of the host is shown as.
    pub(crate) fn shown(&self, time: Time) -> Time {
        let shown = self.shift.shown(time);
        if !self.has_jumped.load(Ordering::Acquire) {
            return shown;
        }
        let jumps = self.jumps.read();
        let last = jumps.iter().rfind(|jump| time >= jump.from);
        last.map_or(shown, |jump| shown.moved(jump.by))
    }

    /// What has to be set so that the times are shown that a client sets. Between the last moment before a jump ahead and the
    /// first after it no time can be shown: such a time is shown after the jump.
    pub(crate) fn unshifted(&self, set: &SetAttributes) -> SetAttributes {
        let time = |set| match set {
            SetTime::To(time) => SetTime::To(self.before_jumps(time)),
            set => set,
        };
        let has_jumped = self.has_jumped.load(Ordering::Acquire);
        match has_jumped {
            true => self.shift.unshifted(&SetAttributes {
                accessed: time(set.accessed),
                modified: time(set.modified),
                ..*set
            }),
            false => self.shift.unshifted(set),
        }
    }

    /// The time of a clock that never jumped at which this one shows `time`.
    fn before_jumps(&self, time: Time) -> Time {
        let jumps = self.jumps.read();
        let after =
            |jump: &Jump| Some(time.moved(-jump.by)).filter(|host| *host >= self.shift.shown(jump.from));
        jumps.iter().rev().find_map(after).unwrap_or(time)
    }

    /// Has it jump now.
    fn jump(&self, now: Time, by: i64) {
        let mut jumps = self.jumps.write();
        let by = jumps.last().map_or(0, |last| last.by).saturating_add(by);
        if jumps.len() == CLOCK_JUMPS_MAX {
            jumps.pop();
        }
        jumps.push(Jump { from: now, by });
        self.has_jumped.store(true, Ordering::Release);
    }
}

impl View {
    /// Has the clock jump by so many seconds. What is changed afterwards has a time after the jump: the host's own clock for files
    /// is late by up to a tick.
    pub(crate) fn jump_clock(&self, seconds: i64) {
        self.clock.jump(Time::now(), Time::new(seconds, 0).since(Time::default()));
        thread::sleep(CLOCK_TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::new(second, 0)
    }

    /// What is shown of a time that a client has set.
    fn set(clock: &Clock, time: Time) -> Time {
        let set = SetAttributes { modified: SetTime::To(time), ..SetAttributes::default() };
        let SetTime::To(unshifted) = clock.unshifted(&set).modified else { panic!("it is set") };
        clock.shown(unshifted)
    }

    #[test]
    fn times_after_a_jump_are_others_and_those_before_stay() {
        let clock = Clock::new(at(0), ViewVariation::default());
        assert_eq!(clock.shown(at(150)), at(150));
        clock.jump(at(100), at(3600).since(at(0)));
        clock.jump(at(200), -at(60).since(at(0)));
        for (host, shown) in [(99, 99), (100, 3700), (199, 3799), (200, 3740)] {
            assert_eq!(clock.shown(at(host)), at(shown));
        }
    }

    #[test]
    fn what_a_client_sets_is_what_it_sees_but_for_times_that_were_left_out() {
        let clock = Clock::new(at(0), ViewVariation { opened_at: Some(50), ..ViewVariation::default() });
        clock.jump(at(100), at(3600).since(at(0)));
        for time in [1, 120, 3750, 9000].map(at) {
            assert_eq!(set(&clock, time), time);
        }
        assert_eq!(set(&clock, at(2000)), at(5600));
        let back = Clock::new(at(0), ViewVariation::default());
        back.jump(at(100), -at(60).since(at(0)));
        for time in [1, 39, 41, 99, 101, 5000].map(at) {
            assert_eq!(set(&back, time), time);
        }
    }

    #[test]
    fn more_jumps_than_are_kept_still_add_up() {
        let clock = Clock::new(at(0), ViewVariation::default());
        let jumps = CLOCK_JUMPS_MAX as i64 + 10;
        (0..jumps).for_each(|jump| clock.jump(at(jump), at(1).since(at(0))));
        assert_eq!(clock.shown(at(jumps)), at(2 * jumps));
        assert_eq!(clock.jumps.read().len(), CLOCK_JUMPS_MAX);
    }
}
