//! Why a build failed, in Nix's words where Nix has some.

use std::path::PathBuf;

use sandbox::backend::BackendError;
#[cfg(target_os = "linux")]
use sandbox::backend::DaemonError;
use sandbox::conditions::ConditionReport;
use sandbox::jail::{ExitOutcome, JailError, KillError, signal_text};
use sandbox::limits::Exceeded;
use sandbox::program::ProgramError;
use sandbox::{SessionError, WorkDirError};

use crate::derivation::KindError;
use crate::hooks::HookError;
use crate::in_place::InPlaceError;
use crate::output::OutputError;
use crate::plan::PlanError;
use crate::report::{BuildReport, UndeclaredError};
use crate::store::{LockError, LogError, StoreError, UserError};
use crate::store_path::StorePathError;

/// Why a build failed: one variant for each step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It is of a kind that cannot be built here.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// The store did not answer.
    #[error("cannot query the store")]
    Store(#[from] StoreError),
    /// An input is not a store path.
    #[error("an input is not a store path")]
    Input(#[from] StorePathError),
    /// The outputs could not be locked.
    #[error("cannot lock the outputs")]
    Lock(#[from] LockError),
    /// What could be left behind could not be noted for a later run to sweep.
    #[error("cannot record the outputs for recovery")]
    Note(#[source] std::io::Error),
    /// There is no build user.
    #[error("cannot get a build user")]
    User(#[from] UserError),
    /// Processes of the build user could not be killed.
    #[error("cannot kill what the build user runs")]
    Kill(#[from] KillError),
    /// Its directories could not be made.
    #[error("cannot make the build's directories")]
    WorkDir(#[from] WorkDirError),
    /// It cannot be planned.
    #[error("cannot plan the build")]
    Plan(#[from] PlanError),
    /// Its view could not be made.
    #[error("cannot make the view")]
    Backend(#[source] BackendError),
    /// loopbox's daemon did not help.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Daemon(DaemonError),
    /// Its output could not be arranged.
    #[error("cannot open a terminal for the build's output")]
    Terminal(#[source] std::io::Error),
    /// The log of the build could not be opened.
    #[error("cannot write the build's log")]
    Log(#[from] LogError),
    /// The directory of a failed build could not be kept.
    #[error("cannot keep the build's directory")]
    LogConfig(#[source] std::io::Error),
    /// The directory of a failed build cannot be used.
    #[error("cannot continue in the build directory {path:?}")]
    KeptDirectory {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// The directory of a failed build belongs to somebody else.
    #[error(
        "the build directory {path:?} belongs to uid {uid}; without root, only a directory of one's own can be continued in"
    )]
    OthersDirectory {
        /// The directory.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// The system does not say who this is.
    #[error("cannot find out the groups of this process")]
    Groups(#[source] std::io::Error),
    /// Nobody could watch over the build's limits.
    #[error("cannot enforce the build's limits")]
    Watch(#[source] std::io::Error),
    /// The builder is there or not, but it could not be executed.
    #[error("executing {program:?}: {error}")]
    Execute {
        /// The builder.
        program: PathBuf,
        /// What the kernel says.
        error: std::io::Error,
        /// What that means, when it can be found out.
        source: Option<MissingDependency>,
    },
    /// The jail could not be made or ended.
    #[error("cannot run the builder in its view")]
    Jail(#[source] JailError),
    /// Some of what it wrote was refused on purpose, and it was not told.
    #[error("some of what the builder wrote was refused on purpose, and it has not noticed")]
    NotStored {
        /// How often the conditions were met.
        imposed: ConditionReport,
    },
    /// The builder has coped with faults, but what it made may be otherwise by them.
    #[error("the builder succeeded, though faults were injected; what it made is not registered")]
    Injected(ConditionReport),
    /// The builder said that it failed.
    #[error("the builder {}", in_words(.0.outcome, .0.exceeded))]
    Builder(Box<Failure>),
    /// It asked for what its view hides and does not allow.
    #[error(transparent)]
    Undeclared(#[from] Box<UndeclaredError>),
    /// Its outputs cannot be written into the store.
    #[error("cannot build the outputs in place")]
    InPlace(#[from] InPlaceError),
    /// The outputs were not accepted.
    #[error("the builder succeeded, but its outputs were rejected")]
    Output(#[from] OutputError),
    /// It cannot be built again because it was never built.
    #[error("some outputs of '{}' are not valid, so checking is not possible", derivation.display())]
    NothingToCheck {
        /// The derivation.
        derivation: PathBuf,
    },
    /// The hook that is asked before the build failed.
    #[error("the pre-build-hook failed")]
    PreBuildHook(#[source] HookError),
    /// A hook failed. What was built is registered all the same.
    #[error("the post-build-hook failed")]
    Hook(#[from] HookError),
    /// Something in loopbox itself is wrong.
    #[error("loopbox failed while it built this: {message}")]
    Panicked {
        /// The message of the panic.
        message: String,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl BuildError {
    /// What the build asked its view for, if it came so far.
    #[must_use]
    pub fn report(&self) -> Option<&BuildReport> {
        match self {
            BuildError::Builder(failure) => Some(&failure.report),
            BuildError::Undeclared(error) => Some(&error.report),
            _ => None,
        }
    }
}

impl From<BackendError> for BuildError {
    fn from(error: BackendError) -> BuildError {
        match error {
            #[cfg(target_os = "linux")]
            BackendError::Daemon(error) => BuildError::Daemon(error),
            other => BuildError::Backend(other),
        }
    }
}

impl From<SessionError> for BuildError {
    fn from(error: SessionError) -> BuildError {
        match error {
            SessionError::Backend(error) => error.into(),
            SessionError::Terminal(error) => BuildError::Terminal(error),
            SessionError::Execute { program, error, missing } => {
                BuildError::Execute { program, error, source: missing.map(MissingDependency) }
            }
            SessionError::Jail(error) => BuildError::Jail(error),
            SessionError::NotStored { imposed } => BuildError::NotStored { imposed },
            SessionError::Interrupted => BuildError::Interrupted,
        }
    }
}

/// What a builder that could not be executed lacks. A cause of its own, because what helps against it is not what
/// helps when a command is run in a view.
#[derive(Debug, thiserror::Error)]
#[error("it cannot be executed in its view")]
pub struct MissingDependency(#[source] pub ProgramError);

/// How a builder failed.
#[derive(Debug)]
pub struct Failure {
    /// Its exit status, or the signal that ended it.
    pub outcome: ExitOutcome,
    /// The limit for which it was killed.
    pub exceeded: Option<Exceeded>,
    /// Where all that it wrote is kept.
    pub log_file: Option<PathBuf>,
    /// The last lines that it wrote.
    pub log: Vec<String>,
    /// Where its directory is kept.
    pub kept: Option<PathBuf>,
    /// What it asked its view for.
    pub report: BuildReport,
    /// Whether hardly anything was left of a disk that it wrote to.
    pub disk_full: bool,
    /// Whether it may well succeed another time: it used the network, or the disk was full.
    pub transient: bool,
}

/// Nix's words for how a builder ended.
fn in_words(outcome: ExitOutcome, exceeded: Option<Exceeded>) -> String {
    match outcome {
        _ if let Some(exceeded) = exceeded => exceeded.to_string(),
        ExitOutcome::Exited(status) => format!("failed with exit code {status}"),
        ExitOutcome::Signaled(signal) => {
            format!("failed due to signal {signal} ({})", signal_text(signal))
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn signals_have_the_system_s_names_as_in_nix() {
        let words = |outcome| in_words(outcome, None);
        assert_eq!(words(ExitOutcome::Signaled(9)), "failed due to signal 9 (Killed)");
        assert_eq!(words(ExitOutcome::Signaled(34)), "failed due to signal 34 (Real-time signal 0)");
    }
}
