//! Finds paths of the store that are not what they were when they were registered, and who can make them again.

use std::collections::{BTreeMap, BTreeSet};

use super::GraphError;
use crate::output::is_whole;
use crate::store::Store;
use crate::store_path::StorePath;

/// The derivations of those paths in the closure of some derivations' valid outputs that are broken.
pub(super) fn derivations(
    store: &Store,
    roots: &BTreeSet<StorePath>,
) -> Result<BTreeSet<StorePath>, GraphError> {
    let mut made_by = BTreeMap::new();
    for root in roots {
        let outputs = store.derivation(root)?.output_paths(store.directory());
        let outputs = outputs.map_err(|source| GraphError::Kind { derivation: root.clone(), source })?;
        made_by.extend(outputs.into_iter().map(|(_, output)| (output, root.clone())));
    }
    let outputs: BTreeSet<StorePath> = made_by.keys().cloned().collect();
    let valid = &outputs - &store.invalid(&outputs)?;
    let mut broken = BTreeSet::new();
    for (path, info) in store.infos(&store.closure(&valid)?)? {
        if is_whole(store, &info).map_err(GraphError::Look)? {
            continue;
        }
        let deriver = made_by.get(&path).cloned().or(info.deriver);
        let deriver = deriver.filter(|deriver| store.locate(deriver).exists());
        broken.insert(deriver.ok_or_else(|| GraphError::NoDeriver { path: store.locate(&path) })?);
    }
    Ok(broken)
}
