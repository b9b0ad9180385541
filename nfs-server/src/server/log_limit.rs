//! Limits the rate at which refused connections are logged.

use std::time::Instant;

use parking_lot::Mutex;

use crate::limits::{REFUSALS_LOG_PERIOD, REFUSALS_LOGGED};

/// The refusals of the current period.
#[derive(Debug, Default)]
pub(super) struct LogLimit(Mutex<Period>);

#[derive(Debug, Default)]
struct Period {
    since: Option<Instant>,
    told: u32,
    untold: u64,
}

impl LogLimit {
    /// Whether to log one more; then the number of those not logged before it.
    pub(super) fn tell(&self) -> Option<u64> {
        self.tell_at(Instant::now())
    }

    fn tell_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.0.lock();
        if state.since.is_none_or(|since| now.duration_since(since) >= REFUSALS_LOG_PERIOD) {
            (state.since, state.told) = (Some(now), 0);
        }
        if state.told < REFUSALS_LOGGED {
            state.told += 1;
            return Some(std::mem::take(&mut state.untold));
        }
        state.untold += 1;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_some_are_told_and_how_many_were_not_later() {
        let log_limit = LogLimit::default();
        let start = Instant::now();
        let told = (0..1000).filter(|_| log_limit.tell_at(start).is_some()).count();
        assert_eq!(told, REFUSALS_LOGGED as usize);
        let left = 1000 - u64::from(REFUSALS_LOGGED);
        assert_eq!(log_limit.tell_at(start + REFUSALS_LOG_PERIOD), Some(left));
        assert_eq!(log_limit.tell_at(start + REFUSALS_LOG_PERIOD), Some(0));
    }
}
