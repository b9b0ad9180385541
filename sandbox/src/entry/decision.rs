//! How a program on macOS enters a view: the first of three ways that works on this machine.
//!
//! The kernel starts dynamic programs below another root only under conditions that no document states, so that a
//! trial decides what can be known by trying, and this table what follows from it. All of it is pure.

mod known;
mod sip;

use std::path::PathBuf;

use mounter::jail::EntryMode;
use serde::{Deserialize, Serialize};

pub use sip::Sip;

/// All of them, in the order in which they are tried.
pub const MODES: [EntryMode; 3] = [EntryMode::Chroot, EntryMode::Cryptex, EntryMode::Profile];

/// What is known of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The build of the system, such as `24F74`: what was tried holds for it alone.
    pub build: String,
    /// System Integrity Protection.
    pub sip: Sip,
    /// The disk image with the shared cache, where there is one.
    pub cryptex: Option<PathBuf>,
    /// The results of the trials, in the order of [`MODES`].
    pub trials: [Trial; 3],
}

/// The result of a trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trial {
    /// Not tried.
    #[default]
    Untried,
    /// A program of the system ran in a view.
    Works,
    /// It did not run, with this error.
    Fails(String),
}

/// The chosen way, and why the others before it were not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The way; `None` if none works.
    pub way: Option<EntryMode>,
    /// The others up to it, each with its reason.
    pub refused: Vec<(EntryMode, Refusal)>,
}

/// Why a way was not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
pub enum Refusal {
    /// The kernel takes the shared cache only from protected files.
    #[error(
        "System Integrity Protection guards the system's files, so that no dynamic program starts below a root that is served over NFS"
    )]
    Protected,
    /// There is no disk image to attach.
    #[error("this system has no disk image of its shared cache (macOS 13 and later have)")]
    NoImage,
    /// It was not tried.
    #[error("it was not tried: 'sudo loopbox doctor' tries it")]
    Untried,
    /// The trial failed.
    #[error("it was tried, and failed: {0}")]
    Failed(String),
}

impl Facts {
    /// The result of the trial of a way.
    #[must_use]
    pub fn trial(&self, way: EntryMode) -> &Trial {
        &self.trials[way as usize]
    }

    /// Why a way cannot work, as far as that is known without a trial.
    #[must_use]
    pub fn forbids(&self, way: EntryMode) -> Option<Refusal> {
        match way {
            EntryMode::Chroot if self.sip == Sip::Protects => Some(Refusal::Protected),
            EntryMode::Cryptex if self.cryptex.is_none() => Some(Refusal::NoImage),
            _ => None,
        }
    }

    /// Tries the ways that can work, in order, until one does.
    pub fn try_all(&mut self, mut trial: impl FnMut(EntryMode) -> Trial) {
        for way in MODES {
            if self.forbids(way).is_some() {
                continue;
            }
            self.trials[way as usize] = trial(way);
            if *self.trial(way) == Trial::Works {
                return;
            }
        }
    }

    /// Whether results of earlier trials are still valid for this machine.
    #[must_use]
    pub fn same_machine(&self, other: &Facts) -> bool {
        (&self.build, self.sip, &self.cryptex) == (&other.build, other.sip, &other.cryptex)
    }

    /// Chooses a way.
    #[must_use]
    pub fn decide(&self) -> Decision {
        let mut refused = Vec::new();
        for way in MODES {
            let reason = self.forbids(way).or_else(|| match self.trial(way) {
                Trial::Works => None,
                Trial::Untried => Some(Refusal::Untried),
                Trial::Fails(said) => Some(Refusal::Failed(said.clone())),
            });
            match reason {
                None => return Decision { way: Some(way), refused },
                Some(reason) => refused.push((way, reason)),
            }
        }
        Decision { way: None, refused }
    }
}

#[cfg(test)]
mod tests;
