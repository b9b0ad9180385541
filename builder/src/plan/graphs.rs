//! Reference graphs that a build asks for (`exportReferencesGraph`): the closures of some of its inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde_json::{Value, json};

use super::{PlanError, Request};
use crate::derivation::Attributes;
use crate::nix32;
use crate::store::PathInfo;
use crate::store_path::StorePath;

/// Nix's first version that says `"valid": true` in structured graphs.
const SAYS_VALID: (u32, u32) = (2, 15);

/// What is known of store paths.
#[derive(Clone, Debug, Default)]
pub struct InputInfo {
    /// The closure of the inputs.
    pub inputs: BTreeSet<StorePath>,
    /// What the store knows of the paths that reference graphs reach. Not needed when none is asked for.
    pub infos: BTreeMap<StorePath, PathInfo>,
    /// The outputs of derivations that lie in reference graphs.
    pub outputs: BTreeMap<StorePath, BTreeSet<StorePath>>,
    /// Content addresses of those paths that have one; only needed for structured graphs.
    pub content_addresses: BTreeMap<StorePath, String>,
}

impl InputInfo {
    /// The closure of some paths, as far as it is known.
    #[must_use]
    pub fn closure(&self, from: impl IntoIterator<Item = StorePath>) -> BTreeSet<StorePath> {
        let mut left: Vec<StorePath> = from.into_iter().collect();
        let mut closure = BTreeSet::new();
        while let Some(path) = left.pop() {
            if closure.contains(&path) {
                continue;
            }
            if let Some(info) = self.infos.get(&path) {
                left.extend(
                    info.references.iter().filter(|reference| !closure.contains(*reference)).cloned(),
                );
            }
            closure.insert(path);
        }
        closure
    }

    fn closure_size(&self, path: &StorePath) -> u64 {
        let closure = self.closure([path.clone()]);
        closure.iter().filter_map(|path| self.infos.get(path)).map(|info| info.nar_size).sum()
    }
}

/// The graphs that are asked for by name, each with the paths in it. The outputs of derivations belong to a graph
/// too, with their closures.
pub(super) fn asked(
    request: &Request<'_>,
    attributes: &Attributes<'_>,
) -> Result<BTreeMap<String, BTreeSet<StorePath>>, PlanError> {
    let known = request.known;
    let mut graphs = BTreeMap::new();
    for (name, words) in attributes.reference_graphs()? {
        let mut roots = BTreeSet::new();
        for word in words {
            let path = StorePath::containing(Path::new(&word), request.store).ok();
            let path = path.filter(|path| known.inputs.contains(path));
            roots.insert(path.ok_or(PlanError::GraphPath { path: word })?);
        }
        let mut paths = known.closure(roots);
        let outputs: Vec<StorePath> =
            paths.iter().filter_map(|path| known.outputs.get(path)).flatten().cloned().collect();
        paths.extend(known.closure(outputs));
        graphs.insert(name, paths);
    }
    Ok(graphs)
}

/// A graph in the form that `nix-store --register-validity` reads.
pub(super) fn registration(request: &Request<'_>, paths: &BTreeSet<StorePath>) -> String {
    let infos = paths.iter().filter_map(|path| request.known.infos.get(path));
    infos.map(|info| info.graph_entry(request.store)).collect()
}

/// A graph in the form of structured attributes.
pub(super) fn json(request: &Request<'_>, paths: &BTreeSet<StorePath>) -> Value {
    let whole = |path: &StorePath| path.within(request.store).display().to_string();
    let infos = paths.iter().filter_map(|path| request.known.infos.get(path)).map(|info| {
        let digest = HEXLOWER_PERMISSIVE.decode(info.nar_hash.as_bytes()).unwrap_or_default();
        let mut entry = json!({
            "closureSize": request.known.closure_size(&info.path),
            "narHash": format!("sha256:{}", nix32::encode(&digest)),
            "narSize": info.nar_size,
            "path": whole(&info.path),
            "references": info.references.iter().map(whole).collect::<Vec<_>>(),
        });
        if let Some(address) = request.known.content_addresses.get(&info.path) {
            entry["ca"] = address.clone().into();
        }
        if request.settings.version >= SAYS_VALID {
            entry["valid"] = true.into();
        }
        entry
    });
    infos.collect()
}
