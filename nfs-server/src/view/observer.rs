//! Reports the outcome of each lookup.

use std::path::PathBuf;

/// The outcome of a lookup or a refused access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupOutcome {
    /// The path is in the view.
    Found,
    /// The path is not in the view nor in a graft: the host may have it, the view hides it.
    Hidden,
    /// The path lies in a graft, and the host does not have it.
    Absent,
    /// The path is in the view, and the access was refused.
    Refused,
    /// The path was to be made, changed or removed, and that was refused.
    ChangeRefused,
}

/// Observes lookups. Called synchronously, by the thread that serves the caller.
pub trait AccessObserver: Send + Sync {
    /// Called for each outcome. `path` builds the path in the view; it allocates, so call it only if needed.
    fn observe(&self, outcome: LookupOutcome, path: &dyn Fn() -> PathBuf);
}
