//! The access report of a build: that of its view, and the inputs that it did without.

mod deep;
mod kept;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sandbox::report::allow_list::AllowList;
use sandbox::report::{EntryKind, NotShown, Report};
use serde::{Deserialize, Serialize};

use crate::store::{PathInfo, Store, StoreError};
use crate::store_path::StorePath;
use crate::variation::Variation;

pub use deep::{DeepOutcome, DeepReport};
pub use kept::KeptError;

/// What one build asked its view for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildReport {
    /// The derivation.
    pub derivation: PathBuf,
    /// Whether it succeeded.
    pub status: Status,
    /// What its view says.
    #[serde(flatten)]
    pub access: Report,
    /// Store paths that the build was shown and did not use.
    pub unused_inputs: Vec<UnusedInput>,
    /// What it looked for in hidden directories, if it was also built where these can be walked.
    pub deep: Option<DeepReport>,
    /// What was otherwise than in other builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub varied: Vec<Variation>,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Its builder has made the outputs.
    Built,
    /// Its builder failed.
    Failed,
    /// It made outputs, and they were not taken: it asked for what it may not.
    Forbidden,
}

/// A store path that a build was shown and did not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnusedInput {
    /// The path.
    pub path: PathBuf,
    /// Whether the derivation names it, rather than something that needs it.
    pub direct: bool,
    /// Whether the derivation could do without naming it: no output refers to it, and all that was used is needed by
    /// others that it names.
    pub removable: bool,
}

/// A build asked for what it may not ask for.
#[derive(Debug, thiserror::Error)]
#[error("it asked for {}", in_words(.paths))]
pub struct UndeclaredError {
    /// The paths; none if there were only more than are remembered.
    pub paths: Vec<PathBuf>,
    /// All that it asked for.
    pub report: BuildReport,
}

fn in_words(paths: &[PathBuf]) -> String {
    let hidden = "of this machine that its view hides, which --strict does not allow";
    match paths {
        [path] => format!("{path:?} {hidden}"),
        [path, more @ ..] => format!("{path:?} and {} more paths {hidden}", more.len()),
        [] => "more hidden paths than are remembered, so that --strict cannot say what they are".into(),
    }
}

impl BuildReport {
    /// Of a derivation that names these inputs (`direct`), and was built with these outputs, or failed: then nothing can be said
    /// of what it could do without.
    ///
    /// # Errors
    /// When the store does not say what its inputs need.
    pub fn of(
        store: &Store,
        derivation: &StorePath,
        direct: &BTreeSet<StorePath>,
        access: Report,
        outputs: Option<&BTreeMap<String, PathInfo>>,
    ) -> Result<BuildReport, StoreError> {
        let shown = access.entries.iter().filter(|entry| entry.kind == EntryKind::Fixed);
        let known = shown.filter_map(|entry| {
            Some((StorePath::parse(entry.usage.at.to_str()?, store.directory()).ok()?, entry.used))
        });
        let (used, unused): (Vec<_>, Vec<_>) = known.partition(|(_, used)| *used);
        let used: BTreeSet<StorePath> = used.into_iter().map(|(path, _)| path).collect();
        let needed = |path: &StorePath| {
            outputs.is_none_or(|outputs| outputs.values().any(|info| info.references.contains(path)))
        };
        let removable = |path: &StorePath| {
            if needed(path) || !direct.contains(path) {
                return Ok(false);
            }
            let others = direct.iter().filter(|other| *other != path).cloned().collect();
            Ok::<bool, StoreError>(used.is_subset(&store.closure(&others)?))
        };
        let mut unused_inputs = Vec::new();
        for (path, _) in unused {
            let (direct, removable) = (direct.contains(&path), removable(&path)?);
            unused_inputs.push(UnusedInput { path: store.locate(&path), direct, removable });
        }
        // Those that one can do something about come first.
        unused_inputs.sort_by_key(|input| (!input.removable, !input.direct, input.path.clone()));
        let status = if outputs.is_some() { Status::Built } else { Status::Failed };
        let derivation = store.locate(derivation);
        Ok(BuildReport { derivation, status, access, unused_inputs, deep: None, varied: Vec::new() })
    }

    /// Asks this machine's packages whose paths these are.
    pub fn find_owners(&mut self, store: &Path) {
        self.access.not_shown.find_owners(store);
        if let Some(deep) = &mut self.deep {
            deep.not_shown.find_owners(store);
        }
    }

    /// What it asked for and was not shown: by whole paths, if these are known.
    #[must_use]
    pub fn not_shown(&self) -> &NotShown {
        self.deep.as_ref().map_or(&self.access.not_shown, |deep| &deep.not_shown)
    }

    /// The same report, if it asked for no more than it may.
    ///
    /// # Errors
    /// It asked for more, or for so many that not all are known.
    pub fn check(self, allowed: &AllowList) -> Result<BuildReport, Box<UndeclaredError>> {
        match allowed.check(self.not_shown().hidden()) {
            Ok(()) => Ok(self),
            Err(paths) => {
                let report = BuildReport { status: Status::Forbidden, ..self };
                Err(Box::new(UndeclaredError { paths, report }))
            }
        }
    }
}
