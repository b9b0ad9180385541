//! What can be wrong with the state directory.

use std::io;
use std::path::PathBuf;

/// Why runs cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The directory cannot be made.
    #[error("cannot make the state directory {path:?}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Somebody else could write records into it, and have paths of his choice removed.
    #[error("the state directory {path:?} has to belong to root and be writable by nobody else")]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// Somebody else could put another directory in its place.
    #[error("root cannot rely on the state directory {path:?}: others can exchange what is in {directory:?}")]
    Exchangeable {
        /// The directory.
        path: PathBuf,
        /// One on the way there.
        directory: PathBuf,
    },
    /// A record cannot be written.
    #[error("cannot write the run record {path:?}")]
    Write {
        /// The record.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The records cannot be listed.
    #[error("cannot read the state directory {path:?}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}
