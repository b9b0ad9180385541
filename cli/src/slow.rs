//! Says what is being done when it takes long: nobody is to sit before an empty terminal.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::output;

/// How long nothing needs to be said.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does something, and says what unless it is done soon.
pub fn say_if_slow<T>(what: &str, work: impl FnOnce() -> T) -> T {
    after(PATIENCE, || output::tell(what), work)
}

fn after<T>(patience: Duration, late: impl FnOnce() + Send, work: impl FnOnce() -> T) -> T {
    let (done, end) = channel::<()>();
    thread::scope(|scope| {
        let wait = move || {
            if end.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
                late();
            }
        };
        // Without another thread nothing is said.
        let _ = thread::Builder::new().spawn_scoped(scope, wait);
        let result = work();
        drop(done);
        result
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_takes_long_is_said() {
        let (said, hears) = channel();
        let say = |what: &'static str| {
            let said = said.clone();
            move || said.send(what).unwrap()
        };
        assert_eq!(after(Duration::from_secs(3600), say("soon"), || 1), 1);
        // It is not done before it was said.
        assert_eq!(after(Duration::ZERO, say("late"), || hears.recv().unwrap()), "late");
        assert!(hears.try_recv().is_err());
    }
}
