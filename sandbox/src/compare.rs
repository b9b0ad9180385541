//! One view in several backends side by side: what a process in it sees of every file, what differs, and why.

mod differ;
mod origin;
mod view;
mod walk;

use std::io;

use crate::backend::BackendKind;
use crate::session::SessionError;
use crate::work_dir::WorkDirError;

pub use differ::{Difference, WalkComparison};
pub use view::{ViewComparison, WalkContext, WalkStats, compare_views};
pub use walk::{ObservedFile, Walker, inside};

/// Why views could not be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WalkError {
    /// Directories cannot be made.
    #[error("cannot make directories for the comparison")]
    Place(#[from] WorkDirError),
    /// A view cannot be made or entered.
    #[error("cannot walk the view in the {backend} backend")]
    View {
        /// The backend.
        backend: BackendKind,
        /// The underlying error.
        source: SessionError,
    },
    /// A walk failed, or its answer cannot be read.
    #[error("the walk through the view in the {backend} backend failed")]
    Walk {
        /// The backend.
        backend: BackendKind,
        /// The I/O error.
        source: io::Error,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
}
