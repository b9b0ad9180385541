//! Limits on how long a build may take, may be silent, and how much it may write; who passes one is stopped.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use defences::Defence;

use crate::cancel::Cancel;

/// What a build may do; `None` for as much as it likes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Seconds that it may take.
    pub time: Option<u64>,
    /// Seconds in which it may write nothing.
    pub silence: Option<u64>,
    /// Bytes that it may write.
    pub log: Option<u64>,
}

/// A limit that was passed, with its value. The words are Nix's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Exceeded {
    /// It took too long.
    #[error("timed out after {0} seconds")]
    Time(u64),
    /// It wrote nothing for too long.
    #[error("timed out after {0} seconds of silence")]
    Silence(u64),
    /// It wrote too much.
    #[error("was killed after writing more than {0} bytes of log output")]
    Log(u64),
}

/// Watches one build. Dropping it ends that.
pub struct LimitWatch {
    shared: Arc<Shared>,
    timer: Option<JoinHandle<()>>,
}

/// Tells a watch of what the build writes.
#[derive(Clone)]
pub struct LogMonitor(Arc<Shared>);

struct Shared {
    limits: Limits,
    stop: Cancel,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    began: Option<Instant>,
    last_output: Option<Instant>,
    written: u64,
    exceeded: Option<Exceeded>,
    ended: bool,
}

impl Limits {
    /// Limits from numbers of which 0 means none.
    #[must_use]
    pub fn new(time: u64, silence: u64, log: u64) -> Limits {
        let some = |number| (number != 0).then_some(number);
        Limits { time: some(time), silence: some(silence), log: some(log) }
    }
}

impl LimitWatch {
    /// Watches a build that has begun now. `stop` is asked for when it passes a limit.
    pub fn begin(limits: Limits, stop: Cancel) -> std::io::Result<LimitWatch> {
        let now = Some(Instant::now());
        let state = Mutex::new(State { began: now, last_output: now, ..State::default() });
        let shared = Arc::new(Shared { limits, stop, state, changed: Condvar::new() });
        let timed = limits.time.is_some() || limits.silence.is_some();
        let watched = Arc::clone(&shared);
        let start = || std::thread::Builder::new().name("build-limits".into()).spawn(move || watched.time());
        let timer = timed.then(start).transpose()?;
        Ok(LimitWatch { shared, timer })
    }

    /// Who has to be told of what the build writes.
    pub fn monitor(&self) -> LogMonitor {
        LogMonitor(Arc::clone(&self.shared))
    }

    /// Ends watching, and says which limit was passed.
    pub fn end(self) -> Option<Exceeded> {
        self.shared.lock().exceeded
    }
}

impl Drop for LimitWatch {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        if let Some(timer) = self.timer.take() {
            // It does not panic, and there is nobody to tell if it did.
            let _ = timer.join();
        }
    }
}

impl LogMonitor {
    /// The build has written so many bytes.
    pub fn wrote(&self, bytes: usize) {
        let mut state = self.0.lock();
        state.last_output = Some(Instant::now());
        state.written = state.written.saturating_add(bytes as u64);
        if let Some(limit) =
            self.0.limits.log.filter(|limit| state.written > *limit && Defence::LogSize.stands())
        {
            self.0.exceed(state, Exceeded::Log(limit));
        }
    }
}

impl Shared {
    fn time(&self) {
        let mut state = self.lock();
        while !state.ended && state.exceeded.is_none() {
            let Some((deadline, exceeded)) = self.next(&state) else { return };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return self.exceed(state, exceeded);
            }
            // Output that comes meanwhile moves the deadline, which is seen when this one has come.
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The limit that is reached first if nothing is written.
    fn next(&self, state: &State) -> Option<(Instant, Exceeded)> {
        let after = |from: Option<Instant>, seconds| from?.checked_add(Duration::from_secs(seconds));
        let time = self
            .limits
            .time
            .and_then(|seconds| Some((after(state.began, seconds)?, Exceeded::Time(seconds))));
        let silence = self
            .limits
            .silence
            .and_then(|seconds| Some((after(state.last_output, seconds)?, Exceeded::Silence(seconds))));
        time.into_iter().chain(silence).min_by_key(|(deadline, _)| *deadline)
    }

    fn exceed(&self, mut state: MutexGuard<'_, State>, exceeded: Exceeded) {
        let first = state.exceeded.is_none();
        state.exceeded.get_or_insert(exceeded);
        drop(state);
        if first {
            self.stop.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// How long a test waits for something that should happen at once.
    const TIMEOUT: Duration = Duration::from_secs(20);

    fn watch(limits: Limits) -> (LimitWatch, mpsc::Receiver<()>) {
        let (stop, (sender, stopped)) = (Cancel::default(), mpsc::channel());
        let watch = LimitWatch::begin(limits, stop.clone()).unwrap();
        std::mem::forget(stop.on_cancel(move || sender.send(()).unwrap()));
        (watch, stopped)
    }

    #[test]
    fn a_build_that_takes_too_long_is_stopped() {
        let (watch, stopped) = watch(Limits { time: Some(1), silence: Some(500), log: None });
        stopped.recv_timeout(TIMEOUT).unwrap();
        assert_eq!(watch.end().unwrap().to_string(), "timed out after 1 seconds");
    }

    #[test]
    fn only_a_build_that_is_silent_for_too_long_is_stopped() {
        let (watch, stopped) = watch(Limits { time: None, silence: Some(1), log: None });
        let began = Instant::now();
        std::thread::sleep(Duration::from_millis(500));
        watch.monitor().wrote(1);
        stopped.recv_timeout(TIMEOUT).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(1500));
        assert_eq!(watch.end().unwrap().to_string(), "timed out after 1 seconds of silence");
    }

    #[test]
    fn a_build_that_writes_too_much_is_stopped_once() {
        let (watch, stopped) = watch(Limits::new(0, 0, 10));
        watch.monitor().wrote(10);
        assert!(stopped.try_recv().is_err());
        watch.monitor().wrote(1);
        watch.monitor().wrote(1);
        assert_eq!(stopped.try_iter().count(), 1);
        let words = watch.end().unwrap().to_string();
        assert_eq!(words, "was killed after writing more than 10 bytes of log output");
    }

    #[test]
    fn a_build_that_ends_in_time_has_passed_no_limit() {
        let (watch, _stopped) = watch(Limits::new(1000, 1000, 0));
        watch.monitor().wrote(1 << 30);
        assert_eq!(watch.end(), None);
    }
}
