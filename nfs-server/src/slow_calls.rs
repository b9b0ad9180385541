//! The slowest calls. A call that is not one of them costs two readings of a counter and one comparison.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::limits::SLOW_CALLS_MAX;
use crate::sys::ticks;
use crate::view::path_text;

/// How long one call took to execute, which it may have waited for before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlowCall {
    /// The procedure's name in RFC 1813.
    pub procedure: String,
    /// What it was about: the name in a directory, or the file.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Seconds.
    pub seconds: f64,
}

/// Remembers as many as there are to be.
pub(crate) struct SlowCalls {
    began: (Instant, u64),
    /// Ticks of the quickest of the slowest, once there are as many as are remembered.
    least: AtomicU64,
    /// The slowest first.
    slowest: Mutex<Vec<Timed>>,
}

/// A call, in ticks.
struct Timed {
    ticks: u64,
    procedure: &'static str,
    path: PathBuf,
}

impl SlowCalls {
    pub(crate) fn new() -> SlowCalls {
        SlowCalls { began: (Instant::now(), ticks()), least: AtomicU64::new(0), slowest: Mutex::default() }
    }

    /// Executes a call that is about a path, if it has one.
    pub(crate) fn time<T>(
        &self,
        procedure: &'static str,
        path: impl FnOnce() -> Option<PathBuf>,
        execute: impl FnOnce() -> T,
    ) -> T {
        let began = ticks();
        let done = execute();
        // Processors may disagree a little about the time.
        let took = ticks().saturating_sub(began);
        if took > self.least.load(Ordering::Relaxed)
            && let Some(path) = path()
        {
            self.remember(Timed { ticks: took, procedure, path });
        }
        done
    }

    fn remember(&self, call: Timed) {
        let mut slowest = self.slowest.lock();
        let at = slowest.partition_point(|other| other.ticks >= call.ticks);
        slowest.insert(at, call);
        slowest.truncate(SLOW_CALLS_MAX);
        if let Some(last) = slowest.get(SLOW_CALLS_MAX - 1) {
            self.least.store(last.ticks, Ordering::Relaxed);
        }
    }

    /// Those so far, the slowest first.
    pub(crate) fn list(&self) -> Vec<SlowCall> {
        let (began, first) = self.began;
        let (elapsed, all) = (began.elapsed(), ticks().saturating_sub(first).max(1));
        let seconds = |ticks: u64| elapsed.as_secs_f64() * ticks as f64 / all as f64;
        let slowest = self.slowest.lock();
        let call = |call: &Timed| SlowCall {
            procedure: call.procedure.to_owned(),
            path: call.path.clone(),
            seconds: seconds(call.ticks),
        };
        slowest.iter().map(call).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The paths of the calls that are remembered of some that took so many ticks, each of which is its path.
    fn remembered(all: impl IntoIterator<Item = u64>) -> Vec<String> {
        let calls = SlowCalls::new();
        for ticks in all {
            calls.remember(Timed { ticks, procedure: "READ", path: ticks.to_string().into() });
        }
        let found = calls.list();
        assert!(found.is_sorted_by(|one, other| one.seconds >= other.seconds), "{found:?}");
        found.iter().map(|call| call.path.display().to_string()).collect()
    }

    #[test]
    fn the_slowest_are_remembered_in_order_and_no_others() {
        assert_eq!(remembered([30, 7, 50]), ["50", "30", "7"]);
        let largest: Vec<String> = (91..=100).rev().map(|ticks| ticks.to_string()).collect();
        assert_eq!(remembered(1..=100), largest);
        assert_eq!(remembered((1..=100).rev()), largest);
    }

    #[test]
    fn a_call_takes_as_long_as_a_clock_says() {
        let calls = SlowCalls::new();
        let began = Instant::now();
        let path = || Some(PathBuf::from("/file"));
        let took = calls.time("READ", path, || {
            std::thread::sleep(Duration::from_millis(50));
            began.elapsed()
        });
        let whole = began.elapsed().as_secs_f64();
        let [call] = &calls.list()[..] else { panic!("one is remembered") };
        assert_eq!((call.procedure.as_str(), call.path.to_str()), ("READ", Some("/file")));
        // Two clocks, of which neither is exact.
        let range = took.as_secs_f64() * 0.98..whole * 1.02;
        assert!(range.contains(&call.seconds), "{} is not in {range:?}", call.seconds);
    }

    #[test]
    fn a_call_about_nothing_is_not_remembered() {
        let calls = SlowCalls::new();
        assert_eq!(calls.time("NULL", || None, || 7), 7);
        assert_eq!(calls.list(), []);
    }
}
