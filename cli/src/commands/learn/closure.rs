//! Store paths that were used, as few words as say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use builder::store::{Store, StoreError};
use builder::store_path::StorePath;

/// Those of the paths that no other one needs, and those that the store does not know.
///
/// # Errors
/// The store cannot be asked.
pub fn roots(store: &Store, paths: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), StoreError> {
    let (mut known, mut unknown) = (BTreeMap::new(), Vec::new());
    for path in paths {
        match StorePath::containing(path, store.directory()) {
            Ok(root) => drop(known.insert(root, path)),
            Err(_) => unknown.push(path.clone()),
        }
    }
    let mut needed: BTreeSet<StorePath> = BTreeSet::new();
    let mut roots: Vec<(StorePath, PathBuf)> = Vec::new();
    for (root, path) in known {
        if needed.contains(&root) {
            continue;
        }
        let closure = match store.closure(&[root.clone()].into()) {
            Err(StoreError::NotValid { .. }) => {
                unknown.push(path.clone());
                continue;
            }
            closure => closure?,
        };
        needed.extend(closure.into_iter().filter(|other| *other != root));
        roots.push((root, path.clone()));
    }
    let roots = roots.into_iter().filter(|(root, _)| !needed.contains(root)).map(|(_, path)| path).collect();
    Ok((roots, unknown))
}
