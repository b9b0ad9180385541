//! Where a view reports what it decided about each path.

use std::path::PathBuf;

/// What a view decided when a path was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LookupOutcome {
    /// It is in the view.
    Found,
    /// It is not in the view, and not in a graft either: the host may have such a path, the view hides it.
    Hidden,
    /// It lies in a graft, and the host does not have it there.
    Absent,
    /// It is in the view, and what was asked of it is not allowed.
    Refused,
}

/// Receives every decision of a view. Called on the server's threads, before the reply is sent.
pub trait AccessObserver: Send + Sync {
    /// Takes note of one decision. `path` builds the path as the view's users name it; it costs an allocation, so
    /// call it only for what is kept.
    fn observe(&self, outcome: LookupOutcome, path: &dyn Fn() -> PathBuf);
}
