//! How programs on a Mac enter their views. Linux has one entry mode, and nothing to choose.

pub mod decision;
#[cfg(target_os = "macos")]
pub mod probe;
pub mod system;

use std::path::PathBuf;

use mounter::jail::EntryMode;
use serde::Serialize;

/// A Mac.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MacHost {
    /// How programs enter their views.
    #[serde(rename = "way")]
    pub mode: EntryMode,
    /// The system's disk image, for the mode that takes one.
    pub image: Option<PathBuf>,
}
