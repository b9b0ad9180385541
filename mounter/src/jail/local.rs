//! Places of a root that are the machine's own files or directories all the same, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Identity, text};

/// What is mounted over places of a root that shows the same there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Local {
    /// The places.
    pub places: Vec<LocalPlace>,
    /// Whether their sources are opened with the rights of the program's user over files, and not with root's.
    pub as_user: bool,
}

/// A place that is mounted over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalPlace {
    /// Where it is in the root. The root has a file or directory there, as the source is one.
    #[serde(with = "text::path")]
    pub at: PathBuf,
    /// The host path.
    #[serde(with = "text::path")]
    pub source: PathBuf,
    /// What the root shows there. Something else that has come to be at the host path meanwhile is not mounted.
    pub identity: Identity,
}
