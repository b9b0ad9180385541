//! The access report of a build: that of its view, and the inputs that it did without.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use sandbox::report::{EntryKind, Report};
use serde::Serialize;

use crate::build::{BuildError, Builder};
use crate::deep::DeepReport;
use crate::store::PathInfo;
use crate::store_path::StorePath;

/// What one build asked its view for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildReport {
    /// The derivation.
    pub derivation: PathBuf,
    /// What its view says.
    #[serde(flatten)]
    pub access: Report,
    /// Store paths that the build was shown and did not use.
    pub unused_inputs: Vec<UnusedInput>,
    /// What it looked for in hidden directories, if it was built once more to see that.
    pub deep: Option<DeepReport>,
}

/// A store path that a build was shown and did not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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

impl BuildReport {
    /// Of a derivation that was built, with these outputs, or failed: then nothing can be said of what it could do without.
    ///
    /// # Errors
    /// When the store does not say what its inputs need.
    pub fn of(
        builder: &Builder,
        derivation: &StorePath,
        access: Report,
        deep: Option<DeepReport>,
        outputs: Option<&BTreeMap<String, PathInfo>>,
    ) -> Result<BuildReport, BuildError> {
        let store = &builder.store;
        let direct = builder.inputs(&store.derivation(derivation)?)?;
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
            Ok::<bool, BuildError>(used.is_subset(&store.closure(&others)?))
        };
        let mut unused_inputs = Vec::new();
        for (path, _) in unused {
            let (direct, removable) = (direct.contains(&path), removable(&path)?);
            unused_inputs.push(UnusedInput { path: store.locate(&path), direct, removable });
        }
        // Those that one can do something about come first.
        unused_inputs.sort_by_key(|input| (!input.removable, !input.direct, input.path.clone()));
        Ok(BuildReport { derivation: store.locate(derivation), access, unused_inputs, deep })
    }
}
