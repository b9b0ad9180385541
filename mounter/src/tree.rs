//! Trees that a hostile program may have made: walked through and removed whatever their depth, with few descriptors.
//!
//! Such a tree can be deeper than any path is long (`PATH_MAX`), than a process may have descriptors and than a thread has
//! stack; its directories may be closed to everybody; and whoever has a descriptor of one of them, passed out of a build
//! through a socket, can still rename in it while it is walked. So nothing here recurses, goes by a path below the top, or
//! follows a link.

mod remove;
mod set_id;
mod stack;

use std::io;
use std::path::PathBuf;

pub use remove::remove;
pub(crate) use remove::remove_if;
pub use set_id::clear_set_id;
pub use stack::{DirStack, Entry, LeaveOutcome, Mounts};

/// Why a tree could not be walked or removed. The message is one line, with the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A system call failed.
    #[error("cannot {step} {path:?}: {error}")]
    Step {
        /// The step that failed, as a verb.
        step: &'static str,
        /// The path; of one longer than `PATH_MAX` the middle is left out.
        path: PathBuf,
        /// The error of the system call.
        error: io::Error,
    },
    /// Something is mounted in the tree. What is mounted there is not the tree's.
    #[error("something is mounted at {path:?}: it is left alone")]
    Mounted {
        /// The mount point.
        path: PathBuf,
    },
    /// Another process keeps changing the tree.
    #[error("{path:?} is changed by another process while it is removed")]
    Changing {
        /// The directory.
        path: PathBuf,
    },
    /// A directory that must not be entered is not empty.
    #[error("{path:?} is not empty, and must not be entered")]
    Foreign {
        /// The directory.
        path: PathBuf,
    },
}

impl From<TreeError> for io::Error {
    fn from(error: TreeError) -> io::Error {
        let kind = match &error {
            TreeError::Step { error, .. } => error.kind(),
            TreeError::Mounted { .. } | TreeError::Changing { .. } => io::ErrorKind::ResourceBusy,
            TreeError::Foreign { .. } => io::ErrorKind::DirectoryNotEmpty,
        };
        io::Error::new(kind, error)
    }
}
