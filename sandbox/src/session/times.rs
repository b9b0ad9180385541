//! When the phases of a session began, and how long they took.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// When the phases of a session began.
#[derive(Clone, Copy, Debug)]
pub struct PhaseTimes {
    /// The view was about to be made.
    pub opened: Instant,
    /// The program ran in it.
    pub started: Instant,
    /// The program had ended.
    pub ended: Instant,
    /// Nothing was left of the view.
    pub gone: Instant,
}

/// How long the phases of a session took, in seconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct PhaseSeconds {
    /// To make the view, until the program ran in it.
    pub setup: f64,
    /// Until the program had ended.
    pub run: f64,
    /// Until nothing was left of the view.
    pub teardown: f64,
}

impl PhaseTimes {
    /// The same as durations.
    #[must_use]
    pub fn seconds(&self) -> PhaseSeconds {
        PhaseSeconds {
            setup: (self.started - self.opened).as_secs_f64(),
            run: (self.ended - self.started).as_secs_f64(),
            teardown: (self.gone - self.ended).as_secs_f64(),
        }
    }
}
