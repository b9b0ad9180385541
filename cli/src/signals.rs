//! SIGINT and SIGTERM: whatever runs is killed and taken down in order, then loopbox exits with 128 + the signal.

use std::sync::{Arc, OnceLock};
use std::{io, thread};

use sandbox::cancel::Cancel;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::exit::Status;

/// A request to stop that comes with a signal. Clones watch the same signals.
#[derive(Clone, Default)]
pub struct Interrupt {
    /// The first one: it decides how loopbox ends.
    signal: Arc<OnceLock<i32>>,
    cancel: Cancel,
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
        let interrupt = Interrupt::default();
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

    /// Asks to stop as if this signal had come.
    pub fn stop(&self, signal: i32) {
        self.signal.get_or_init(|| signal);
        self.cancel.cancel();
    }

    /// How loopbox ends if it was asked to stop.
    pub fn status(&self) -> Option<Status> {
        self.signal.get().copied().map(Status::Signaled)
    }

    /// What every signal asks for.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }
}
