//! How a program on macOS enters a view: the first of three entry modes that works on this machine.
//!
//! The kernel starts dynamic programs below another root only under conditions that no document states, so that
//! a probe finds out what can be known by trying, and this table says what follows from it. All of it is pure.

mod saved;
mod sip;

use std::path::PathBuf;

use mounter::jail::EntryMode;
use serde::{Deserialize, Serialize};

pub use sip::Sip;

/// All modes, in the order in which they are tried.
pub const MODES: [EntryMode; 3] = [EntryMode::Chroot, EntryMode::Cryptex, EntryMode::Profile];

/// What a Mac allows, as far as it was looked at and probed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MacCapabilities {
    /// The build of the system, such as `24F74`: the results of probes hold for it alone.
    pub build: String,
    /// System Integrity Protection.
    pub sip: Sip,
    /// The disk image with the shared cache, where there is one.
    pub cryptex: Option<PathBuf>,
    /// The results of the probes, in the order of [`MODES`].
    #[serde(rename = "trials")]
    pub probes: [ProbeResult; 3],
}

/// Whether a program can be run in an entry mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeResult {
    /// Not tried.
    #[default]
    Untried,
    /// A program of the system ran in a view.
    Works,
    /// It did not run, with this error.
    Fails(String),
}

/// The chosen mode, and why the others before it were not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The mode; `None` if none works.
    #[serde(rename = "way")]
    pub mode: Option<EntryMode>,
    /// The others up to it, each with its reason.
    pub refused: Vec<(EntryMode, Refusal)>,
}

/// Why a mode was not chosen.
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
    /// The probe failed.
    #[error("its probe failed: {0}")]
    Failed(String),
}

impl MacCapabilities {
    /// The result of the probe of a mode.
    #[must_use]
    pub fn probe(&self, mode: EntryMode) -> &ProbeResult {
        &self.probes[mode as usize]
    }

    /// Why a mode cannot work, as far as that is known without a probe.
    #[must_use]
    pub fn forbids(&self, mode: EntryMode) -> Option<Refusal> {
        match mode {
            EntryMode::Chroot if self.sip == Sip::Protects => Some(Refusal::Protected),
            EntryMode::Cryptex if self.cryptex.is_none() => Some(Refusal::NoImage),
            _ => None,
        }
    }

    /// Probes the modes that can work, in order, until one does.
    pub fn probe_all(&mut self, mut probe: impl FnMut(EntryMode) -> ProbeResult) {
        for mode in MODES {
            if self.forbids(mode).is_some() {
                continue;
            }
            self.probes[mode as usize] = probe(mode);
            if *self.probe(mode) == ProbeResult::Works {
                return;
            }
        }
    }

    /// Whether results of earlier probes are still valid for this machine.
    #[must_use]
    pub fn same_machine(&self, other: &MacCapabilities) -> bool {
        (&self.build, self.sip, &self.cryptex) == (&other.build, other.sip, &other.cryptex)
    }

    /// Chooses a mode.
    #[must_use]
    pub fn decide(&self) -> Decision {
        let mut refused = Vec::new();
        for mode in MODES {
            let reason = self.forbids(mode).or_else(|| match self.probe(mode) {
                ProbeResult::Works => None,
                ProbeResult::Untried => Some(Refusal::Untried),
                ProbeResult::Fails(said) => Some(Refusal::Failed(said.clone())),
            });
            match reason {
                None => return Decision { mode: Some(mode), refused },
                Some(reason) => refused.push((mode, reason)),
            }
        }
        Decision { mode: None, refused }
    }
}

#[cfg(test)]
mod tests;
