//! What a build looks for in directories that its view hides: it is built once more where these can be walked.

use std::collections::BTreeMap;
use std::error::Error;

use sandbox::report::Undeclared;
use serde::Serialize;

use crate::store::PathInfo;

/// What a build looks for in directories that its view hides.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeepReport {
    /// Paths that it asked for, that this machine has, and that its view does not show.
    pub undeclared: Vec<Undeclared>,
    /// Whether there were more of these than are remembered.
    pub undeclared_incomplete: bool,
    /// How many paths it asked for that neither its view nor this machine has.
    pub missing: usize,
    /// Whether it went as before.
    #[serde(flatten)]
    pub outcome: DeepOutcome,
}

/// How a build went where hidden directories are there, though nothing is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum DeepOutcome {
    /// Its outputs are the same.
    Same,
    /// Its outputs differ: because of those directories, or because they always do.
    Differs {
        /// Their names.
        outputs: Vec<String>,
    },
    /// It failed.
    Failed {
        /// How.
        error: String,
    },
}

impl DeepOutcome {
    /// Of a build that failed.
    pub(crate) fn failed(error: &dyn Error) -> DeepOutcome {
        DeepOutcome::Failed { error: error.to_string() }
    }

    /// Of a build that made these outputs, where there were others before.
    pub(crate) fn of(made: &BTreeMap<String, PathInfo>, before: &BTreeMap<String, PathInfo>) -> DeepOutcome {
        let differ = before
            .iter()
            .filter(|(name, info)| made.get(*name).is_none_or(|made| made.nar_hash != info.nar_hash));
        let outputs: Vec<String> = differ.map(|(name, _)| name.clone()).collect();
        if outputs.is_empty() { DeepOutcome::Same } else { DeepOutcome::Differs { outputs } }
    }
}
