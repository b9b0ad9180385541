//! Faults on purpose: calls that fail, wait or do less than they were asked for, so that somebody sees how programs take it.
//!
//! A [`Fault`] is plain data with a text for it (`op=write,path=/build/**,error=ENOSPC,after=1M`); the `FaultInjector` of a
//! server decides for each call.

mod error;
mod inject;
mod names;
mod target;
mod text;

use std::time::Duration;

use globset::{Glob, GlobBuilder};
use serde::{Deserialize, Serialize};

pub use error::{FaultError, Problem};
pub use inject::InjectedFault;
pub(crate) use inject::{FaultInjector, Injection};
pub use names::{ERRORS, PROCEDURES};
pub(crate) use target::Target;

/// The longest delay: kernels give a call up, or send it again, after a minute.
pub const DELAY_MAX: Duration = Duration::from_secs(60);

/// The longest jump of a clock, in seconds: a hundred years. Much more is beyond the times that NFSv3 can carry.
pub const CLOCK_JUMP_MAX: u64 = 36_500 * 24 * 60 * 60;

/// Which calls have what fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fault {
    /// The procedure; all of them if it is `None`.
    pub procedure: Option<ProcedureNumber>,
    /// The files, by their paths in the view; all but the root if it is `None`.
    pub path: Option<PathPattern>,
    /// What the call fails with.
    pub error: Option<ErrorName>,
    /// How long it takes longer.
    pub delay: Option<Duration>,
    /// Most bytes that a READ or a WRITE carries.
    pub short: Option<u32>,
    /// How far the clock that files get their times from jumps, before the call is carried out.
    pub clock: Option<ClockJump>,
    /// Which of these calls.
    pub schedule: FaultSchedule,
}

/// Which of the calls that match a fault have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSchedule {
    /// No call before this.
    pub after: FaultStart,
    /// One in so many, if not each.
    pub every: Option<u64>,
    /// Each by this chance.
    pub probability: Option<Probability>,
    /// What chance begins with: the same number, the same calls.
    pub seed: u64,
    /// No more than so many.
    pub count: Option<u64>,
}

/// From which call on calls have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultStart {
    /// When so many were carried out.
    Calls(u64),
    /// When as many bytes were read or written, and with the call that would be beyond.
    Bytes(u64),
}

/// A procedure of NFSv3 by its number (RFC 1813, section 3.3), NULL excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcedureNumber(pub(crate) u32);

/// An error by its name in errno(3): one that NFSv3 has a status for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorName {
    pub(crate) name: &'static str,
    /// `nfsstat3`.
    pub(crate) status: u32,
}

/// A pattern of absolute paths: `*` within a name, `**` across directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Glob);

/// Whole seconds that a clock jumps ahead, or back; never 0, and a hundred years at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump(i64);

/// A number from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Probability(f64);

/// It is never NaN.
impl Eq for Probability {}

impl Default for FaultStart {
    fn default() -> FaultStart {
        FaultStart::Calls(0)
    }
}

impl Fault {
    /// Whether calls have other results by it, and not only later ones.
    #[must_use]
    pub fn changes_results(&self) -> bool {
        self.error.is_some() || self.clock.is_some()
    }
}

impl PathPattern {
    /// # Errors
    /// [`Problem::Path`] for what is no absolute path, [`Problem::Glob`] for what is no pattern.
    pub fn new(text: &str) -> Result<PathPattern, Problem> {
        if !text.starts_with('/') {
            return Err(Problem::Path);
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        glob.map(PathPattern).map_err(|error| Problem::Glob(error.kind().to_string()))
    }
}

impl ClockJump {
    /// # Errors
    /// [`Problem::Clock`] for none, and for more than a hundred years.
    pub fn new(seconds: i64) -> Result<ClockJump, Problem> {
        let is_jump = (1..=CLOCK_JUMP_MAX).contains(&seconds.unsigned_abs());
        is_jump.then_some(ClockJump(seconds)).ok_or(Problem::Clock)
    }
}

impl Probability {
    /// # Errors
    /// [`Problem::Probability`] for anything else than a number from 0 to 1.
    pub fn new(number: f64) -> Result<Probability, Problem> {
        if (0.0..=1.0).contains(&number) { Ok(Probability(number)) } else { Err(Problem::Probability) }
    }
}
