//! What makes a jail on macOS, as plain data.

mod mode;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use mode::EntryMode;

use crate::profile::Profile;

/// What a jail on macOS is made of besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mac {
    /// How the program gets into the view. Without another root, the view is only mounted, and the paths of the
    /// program, its directory and its arguments are the machine's.
    #[serde(rename = "way")]
    pub mode: EntryMode,
    /// What it may do there.
    pub profile: Profile,
    /// A directory of the view to show the machine's devices in (devfs).
    pub devices: Option<PathBuf>,
    /// A disk image to attach read-only, and the directory of the view for it.
    pub image: Option<(PathBuf, PathBuf)>,
    /// Where the image is written down while it is attached, for a sweep ([`crate::jail::SpawnRequest`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<PathBuf>,
    /// The processor that the program is made for, where the system runs programs for two.
    pub architecture: Option<Architecture>,
    /// Whether all processes of the user are the program's: they are killed when it ends.
    pub alone: bool,
}

/// A kind of processor that macOS runs programs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Architecture {
    /// Apple's own.
    Arm64,
    /// Intel's, or Rosetta in its place.
    X86_64,
}

impl Architecture {
    /// That of a system of Nix's, such as `aarch64-darwin`.
    #[must_use]
    pub fn of_system(system: &str) -> Option<Architecture> {
        match system {
            "aarch64-darwin" => Some(Architecture::Arm64),
            "x86_64-darwin" => Some(Architecture::X86_64),
            _ => None,
        }
    }
}
