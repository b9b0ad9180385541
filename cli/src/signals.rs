//! SIGINT and SIGTERM: whatever runs is killed and taken down in order, then loopbox exits with 128 + the signal.

use std::sync::{Arc, Mutex, PoisonError};
use std::{io, thread};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::failure::Status;

/// Tells whether loopbox was asked to stop, and stops what was registered. Clones watch the same signals.
#[derive(Clone)]
pub struct Interrupt {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    signal: Option<i32>,
    next: u64,
    stops: Vec<(u64, Box<dyn Fn() + Send>)>,
}

/// Something that a signal stops for as long as this value lives.
pub struct Registered {
    interrupt: Interrupt,
    number: u64,
}

/// The signals could not be caught.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch for signals")]
pub struct SignalError(#[from] io::Error);

impl Interrupt {
    /// Starts watching SIGINT, SIGTERM and SIGHUP. SIGTSTP is watched to be ignored: a stopped loopbox would answer
    /// no more calls of its own mounts, and whoever uses them would get errors.
    ///
    /// # Errors
    /// If the handlers cannot be installed.
    pub fn watch() -> Result<Interrupt, SignalError> {
        let interrupt = Interrupt { state: Arc::default() };
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGTSTP])?;
        let watcher = interrupt.clone();
        thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if signal != SIGTSTP {
                    watcher.stop(signal);
                }
            }
        })?;
        Ok(interrupt)
    }

    /// How loopbox ends if it was asked to stop.
    pub fn status(&self) -> Option<Status> {
        self.lock().signal.map(Status::Signaled)
    }

    /// Calls `stop` on every signal until the returned value is dropped, and at once if one came already.
    pub fn on_signal(&self, stop: impl Fn() + Send + 'static) -> Registered {
        let mut state = self.lock();
        if state.signal.is_some() {
            stop();
        }
        let number = state.next;
        state.next += 1;
        state.stops.push((number, Box::new(stop)));
        Registered { interrupt: self.clone(), number }
    }

    fn stop(&self, signal: i32) {
        let mut state = self.lock();
        state.signal.get_or_insert(signal);
        for (_, stop) in &state.stops {
            stop();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.interrupt.lock().stops.retain(|(number, _)| *number != self.number);
    }
}
