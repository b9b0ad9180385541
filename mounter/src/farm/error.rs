//! Why a farm of hard links cannot be made or taken apart.

use std::io;
use std::path::{Path, PathBuf};

use crate::tree::TreeError;

/// Why a farm cannot be made or taken apart.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FarmError {
    /// The list of what is made cannot be written or read.
    #[error("cannot write the list of links {path:?}")]
    List {
        /// The list.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A step failed.
    #[error("cannot {step} {path:?}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// With what.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A link is the file itself, so who may write the file may write it through the link.
    #[error("uid {uid} could write {path:?} through a hard link")]
    Writable {
        /// The user.
        uid: u32,
        /// The file or directory.
        path: PathBuf,
    },
    /// What is lent to a farm is moved there, which does not leave a volume.
    #[error("{path:?} is on another volume than the farm of links, and would have to be mounted there")]
    Volume {
        /// The directory.
        path: PathBuf,
    },
    /// Something is in the way that the farm has not made; it is neither entered nor removed.
    #[error("{path:?} exists and is not part of this farm: it is left alone")]
    Foreign {
        /// Its path.
        path: PathBuf,
    },
}

impl From<TreeError> for FarmError {
    fn from(error: TreeError) -> FarmError {
        match error {
            TreeError::Step { step, path, error } => FarmError::Step { step, path, source: error },
            TreeError::Foreign { path } => FarmError::Foreign { path },
            TreeError::Mounted { ref path } | TreeError::Changing { ref path } => {
                failed("remove", &path.clone(), error.into())
            }
        }
    }
}

pub(super) fn failed(step: &'static str, path: &Path, source: io::Error) -> FarmError {
    FarmError::Step { step, path: path.into(), source }
}
