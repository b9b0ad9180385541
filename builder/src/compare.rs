//! The same build in several backends side by side: what differs, and why.

pub(crate) mod build;
pub(crate) mod first_outputs;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use sandbox::backend::{BackendKind, ResourceUsage};
use sandbox::compare::{WalkComparison, WalkError};
use sandbox::{PhaseSeconds, WorkDirError};
use serde::Serialize;

use crate::build::BuildError;
use crate::output::Differences;
use crate::store_path::StorePath;

pub use build::{CompareOptions, compare_builds};

/// What was found out about a derivation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// The derivation.
    pub derivation: StorePath,
    /// The result.
    pub verdict: ComparisonVerdict,
    /// The same in a sentence, with what led to it.
    pub explanation: String,
    /// Every build, in the order in which they were made.
    pub rounds: Vec<Round>,
    /// Hashes of those outputs that the store has already.
    pub registered: BTreeMap<String, String>,
    /// How outputs differ from the first ones.
    pub outputs: Vec<OutputDifference>,
    /// What a process in the view sees differently.
    pub probe: Option<WalkComparison>,
}

/// Whether the outputs are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ComparisonVerdict {
    /// All of them, in every backend and every round, and those that the store has.
    Same,
    /// They differ from round to round in one and the same backend.
    NotDeterministic,
    /// They are the same in every round, and differ from backend to backend.
    DependsOnBackend,
    /// They differ from backend to backend, and one round each cannot tell whether that is why.
    Differs,
    /// They are the same everywhere, but not what the store has.
    DiffersFromStore,
    /// Nothing could be compared, since it failed in some backend.
    Failed,
}

/// One build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// In which backend.
    pub backend: BackendKind,
    /// Counted from one.
    pub round: u32,
    /// What came of it.
    #[serde(flatten)]
    pub result: RoundResult,
}

/// What came of a build.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RoundResult {
    /// Outputs.
    Built(Box<BuiltRound>),
    /// A failure, with its reason.
    Failed(String),
}

/// A build that ended well.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuiltRound {
    /// How long its view took.
    pub seconds: PhaseSeconds,
    /// What its view took.
    pub spent: ResourceUsage,
    /// The hashes of its outputs as Nix archives, in base 16, by output name.
    pub nar_hashes: BTreeMap<String, String>,
}

/// How an output differs from the first build's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputDifference {
    /// The output's name.
    pub output: String,
    /// The first build's backend.
    pub first: BackendKind,
    /// The backend, and its round; the store's own output if missing.
    pub other: Option<(BackendKind, u32)>,
    /// How: `before` is the first one.
    pub differences: Differences,
}

/// Why nothing could be compared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompareError {
    /// Inputs are missing; a comparison registers nothing, so it builds none.
    #[error("{} of the inputs of '{derivation}' are not in the store, {first:?} among them", count)]
    Inputs {
        /// The derivation.
        derivation: StorePath,
        /// How many are missing.
        count: usize,
        /// One of them.
        first: PathBuf,
    },
    /// Builds cannot be made.
    #[error("cannot prepare the builds")]
    Build(#[from] BuildError),
    /// Directories cannot be made.
    #[error("cannot make directories for the comparison")]
    Place(#[from] WorkDirError),
    /// A view cannot be walked through.
    #[error(transparent)]
    Walk(WalkError),
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Outputs cannot be set aside or compared.
    #[error("cannot set aside or compare the output {path:?}")]
    CompareOutput {
        /// The output.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl From<WalkError> for CompareError {
    fn from(error: WalkError) -> CompareError {
        match error {
            WalkError::Interrupted => CompareError::Interrupted,
            error => CompareError::Walk(error),
        }
    }
}
