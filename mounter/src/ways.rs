//! How a program on macOS enters a view: the first of three ways that works on this machine.
//!
//! The kernel starts dynamic programs below another root only under conditions that no document states, so that a
//! trial decides what can be known by trying, and this table what follows from it. All of it is pure.

mod known;
mod sip;

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use sip::Sip;

/// A way into a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// The view is the root directory.
    Chroot,
    /// The same, with the system's own disk image in the view, at the place where dyld looks: its shared cache carries
    /// the flag that the kernel asks for.
    Cryptex,
    /// The machine's root stays, and a sandbox profile closes all of it but the closure. What is written comes from
    /// the view.
    Profile,
}

/// All ways, in the order in which they are tried.
pub const WAYS: [Way; 3] = [Way::Chroot, Way::Cryptex, Way::Profile];

/// What is known of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The build of the system, such as `24F74`: what was tried holds for it alone.
    pub build: String,
    /// System Integrity Protection.
    pub sip: Sip,
    /// The disk image with the shared cache, where there is one.
    pub cryptex: Option<PathBuf>,
    /// The results of the trials, in the order of [`WAYS`].
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
    pub way: Option<Way>,
    /// The others up to it, each with its reason.
    pub refused: Vec<(Way, Refusal)>,
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
    pub fn trial(&self, way: Way) -> &Trial {
        &self.trials[way as usize]
    }

    /// Why a way cannot work, as far as that is known without a trial.
    #[must_use]
    pub fn forbids(&self, way: Way) -> Option<Refusal> {
        match way {
            Way::Chroot if self.sip == Sip::Protects => Some(Refusal::Protected),
            Way::Cryptex if self.cryptex.is_none() => Some(Refusal::NoImage),
            _ => None,
        }
    }

    /// Tries the ways that can work, in order, until one does.
    pub fn try_all(&mut self, mut trial: impl FnMut(Way) -> Trial) {
        for way in WAYS {
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
        for way in WAYS {
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

impl Way {
    /// Whether the view becomes the root directory.
    #[must_use]
    pub fn changes_root(self) -> bool {
        self != Way::Profile
    }

    /// What a build can do or see in this way that it could not with the view as its root, a sentence each.
    #[must_use]
    pub fn loses(self) -> &'static [&'static str] {
        match self {
            Way::Chroot => &[],
            Way::Cryptex => &["the system's whole disk image is readable at /System/Cryptexes/OS"],
            Way::Profile => &[
                "what is hidden answers 'Operation not permitted', not 'No such file or directory'",
                "the store is the machine's own: outputs are written at their places in it while they are built",
                "/tmp is closed; TMPDIR leads into the view",
                "the names in the store, and beside the build directory, can be listed",
                "paths can be shown only where they are, and none can be made up",
                "what was looked for in vain is not reported, as the server is not asked",
                "outputs that exist cannot be built again: '--check' and '--repair' need a root of their own",
            ],
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Chroot => "chroot",
            Way::Cryptex => "chroot with the system's disk image",
            Way::Profile => "sandbox profile without chroot",
        })
    }
}

#[cfg(test)]
mod tests;
