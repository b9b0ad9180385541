//! Asking running builds to stop.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often something is tried that tells nobody when it can be had. Nix itself looks every five seconds.
const POLL: Duration = Duration::from_millis(100);

/// How long something is tried before somebody is told that it is waited for.
const QUIET: Duration = Duration::from_secs(1);

/// A request to stop that has been made or not. Clones are the same request.
#[derive(Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    stops: Vec<(u64, Box<dyn Fn() + Send>)>,
}

/// Keeps a function registered with [`Cancel::on_cancel`] until it is dropped.
pub struct CancelGuard {
    cancel: Cancel,
    number: u64,
}

impl Cancel {
    /// Stops everything that runs, and whatever is registered later.
    pub fn cancel(&self) {
        let mut state = self.lock();
        state.cancelled = true;
        for (_, stop) in &state.stops {
            stop();
        }
    }

    /// Whether it has been asked for.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Tries something until it can be had; `None` once it has been asked to stop. It is for what the kernel cannot
    /// wait for and be interrupted: locks, of which one of several will do or which somebody may hold for hours.
    /// `waiting` is called once when it takes longer than a moment.
    ///
    /// # Errors
    /// Those of the attempts.
    pub fn until<T, E>(
        &self,
        mut attempt: impl FnMut() -> Result<Option<T>, E>,
        waiting: impl FnOnce(),
    ) -> Result<Option<T>, E> {
        let (began, mut waiting) = (Instant::now(), Some(waiting));
        while !self.is_cancelled() {
            if let Some(had) = attempt()? {
                return Ok(Some(had));
            }
            if began.elapsed() >= QUIET
                && let Some(waiting) = waiting.take()
            {
                waiting();
            }
            std::thread::sleep(POLL);
        }
        Ok(None)
    }

    /// Calls `stop` when it is asked for, at once if it has been already. `stop` must not block.
    pub fn on_cancel(&self, stop: impl Fn() + Send + 'static) -> CancelGuard {
        let mut state = self.lock();
        if state.cancelled {
            stop();
        }
        let number = state.next;
        state.next += 1;
        state.stops.push((number, Box::new(stop)));
        drop(state);
        CancelGuard { cancel: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancel.lock().stops.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn what_is_registered_is_stopped_before_and_after_but_not_once_it_has_ended() {
        let stopped = Arc::new(AtomicUsize::new(0));
        let count = || {
            let stopped = Arc::clone(&stopped);
            move || {
                stopped.fetch_add(1, Ordering::SeqCst);
            }
        };
        let cancel = Cancel::default();
        let _running = cancel.on_cancel(count());
        drop(cancel.on_cancel(count()));
        assert_eq!(stopped.load(Ordering::SeqCst), 0);
        cancel.clone().cancel();
        assert_eq!(stopped.load(Ordering::SeqCst), 1);
        let _late = cancel.on_cancel(count());
        assert_eq!(stopped.load(Ordering::SeqCst), 2);
    }
}
