//! What a build looks for in directories that its view hides.

use std::collections::BTreeMap;

use sandbox::report::NotShown;
use serde::{Deserialize, Serialize};

use crate::store::PathInfo;

/// What a build looks for in directories that its view hides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeepReport {
    /// What it asked for and was not shown, by whole paths.
    #[serde(flatten)]
    pub not_shown: NotShown,
    /// Whether it goes the same way where they are hidden.
    #[serde(flatten)]
    pub outcome: DeepOutcome,
}

/// How a build went where hidden directories are there, though nothing is in them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "outcome")]
pub enum DeepOutcome {
    /// Its outputs are the same, or it fails with and without them.
    Same,
    /// Its outputs differ: because of those directories, or because they always do.
    Differs {
        /// Their names.
        outputs: Vec<String>,
    },
    /// It failed there, and not without them.
    Failed {
        /// The error, with its causes.
        error: String,
    },
    /// It ended well there, and failed without them.
    Succeeded,
}

impl DeepOutcome {
    /// Of a build that made these outputs, and those where nothing could be walked.
    pub(crate) fn of(made: &BTreeMap<String, PathInfo>, built: &BTreeMap<String, PathInfo>) -> DeepOutcome {
        let differ = built
            .iter()
            .filter(|(name, info)| made.get(*name).is_none_or(|made| made.nar_hash != info.nar_hash));
        let outputs: Vec<String> = differ.map(|(name, _)| name.clone()).collect();
        if outputs.is_empty() { DeepOutcome::Same } else { DeepOutcome::Differs { outputs } }
    }
}
