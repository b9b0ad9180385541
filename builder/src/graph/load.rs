//! Finds out what is missing of a graph: level by level, each with a few questions to the store.

use std::collections::{BTreeMap, BTreeSet};

use super::{Graph, GraphError, Missing, broken};
use crate::build::Purpose;
use crate::derivation::Derivation;
use crate::store::{Settings, Store};
use crate::store_path::StorePath;

/// Derivations, each with the outputs that are wanted of it; none means all.
type Wanted = BTreeMap<StorePath, BTreeSet<String>>;

/// Reads what has to be built or fetched before all outputs of some derivations are valid; or what has to be built
/// again to check them, or to repair them.
///
/// # Errors
/// When a derivation cannot be read or cannot be built here.
pub fn load(
    store: &Store,
    settings: &Settings,
    roots: &BTreeSet<StorePath>,
    purpose: Purpose,
) -> Result<Graph, GraphError> {
    let again = match purpose {
        Purpose::Make => BTreeSet::new(),
        Purpose::Check => roots.clone(),
        Purpose::Repair => broken::derivations(store, roots)?,
    };
    let mut graph = Graph::default();
    let mut inputs: BTreeMap<StorePath, BTreeSet<StorePath>> = BTreeMap::new();
    let mut level: Wanted = roots.iter().map(|path| (path.clone(), BTreeSet::new())).collect();
    // Every round either adds to what is missing or ends.
    while !level.is_empty() {
        let mut missing = missing_of(store, settings, &level, &mut graph.fetch)?;
        if graph.missing.is_empty() {
            missing.retain(|(path, _)| !again.contains(path));
            for path in &again {
                missing.push((path.clone(), buildable(store, path)?));
            }
        }
        let mut next = Wanted::new();
        for (path, derivation) in missing {
            let needed = needed_by(store, &path, &derivation)?;
            inputs.insert(path.clone(), needed.keys().cloned().collect());
            for (input, outputs) in needed {
                // Asked again for one that is missing already, there is nothing more to find out: all outputs of a
                // derivation are made at once.
                if !graph.missing.contains_key(&input) {
                    next.entry(input).or_default().extend(outputs);
                }
            }
            let purpose = if again.contains(&path) { purpose } else { Purpose::Make };
            graph.missing.insert(path, Missing { derivation, after: BTreeSet::new(), purpose });
        }
        next.retain(|path, _| !graph.missing.contains_key(path));
        level = next;
    }
    let names: BTreeSet<StorePath> = graph.missing.keys().cloned().collect();
    for (path, missing) in &mut graph.missing {
        missing.after = inputs.get(path).map(|inputs| inputs & &names).unwrap_or_default();
    }
    Ok(graph)
}

/// Those of a level with a wanted output that is neither valid nor can be fetched.
fn missing_of(
    store: &Store,
    settings: &Settings,
    level: &Wanted,
    fetch: &mut BTreeSet<StorePath>,
) -> Result<Vec<(StorePath, Derivation<'static>)>, GraphError> {
    let mut read = Vec::new();
    for (path, wanted) in level {
        let derivation = store.derivation(path)?;
        let outputs = wanted_outputs(store, path, &derivation, wanted)?;
        read.push((path.clone(), derivation, outputs));
    }
    let all = read.iter().flat_map(|(_, _, outputs)| outputs.iter().cloned()).collect();
    let mut absent = store.invalid(&all)?;
    if settings.substitute && !settings.substituters.is_empty() && !absent.is_empty() {
        let lacking = read.iter().filter(|(_, _, outputs)| !outputs.is_disjoint(&absent));
        let fetchable = store.fetchable(&lacking.map(|(path, _, _)| path.clone()).collect())?;
        fetch.extend(absent.intersection(&fetchable).cloned());
        absent.retain(|path| !fetchable.contains(path));
    }
    read.retain(|(_, _, outputs)| !outputs.is_disjoint(&absent));
    for (path, derivation, _) in &read {
        check_buildable(store, path, derivation)?;
    }
    Ok(read.into_iter().map(|(path, derivation, _)| (path, derivation)).collect())
}

fn buildable(store: &Store, path: &StorePath) -> Result<Derivation<'static>, GraphError> {
    let derivation = store.derivation(path)?;
    check_buildable(store, path, &derivation)?;
    Ok(derivation)
}

fn check_buildable(store: &Store, path: &StorePath, derivation: &Derivation<'_>) -> Result<(), GraphError> {
    let refused = |source| GraphError::Kind { derivation: path.clone(), source };
    derivation.check_buildable(store.directory()).map_err(refused)
}

fn wanted_outputs(
    store: &Store,
    path: &StorePath,
    derivation: &Derivation<'_>,
    wanted: &BTreeSet<String>,
) -> Result<BTreeSet<StorePath>, GraphError> {
    let outputs = derivation
        .output_paths(store.directory())
        .map_err(|source| GraphError::Kind { derivation: path.clone(), source })?;
    let outputs: BTreeMap<String, StorePath> = outputs.into_iter().collect();
    if wanted.is_empty() {
        return Ok(outputs.into_values().collect());
    }
    let find = |name: &String| {
        let missing = || GraphError::NoOutput { derivation: path.clone(), output: name.clone() };
        outputs.get(name).cloned().ok_or_else(missing)
    };
    wanted.iter().map(find).collect()
}

fn needed_by(store: &Store, path: &StorePath, derivation: &Derivation<'_>) -> Result<Wanted, GraphError> {
    let mut needed = Wanted::new();
    for (input, outputs) in &derivation.input_derivations {
        let input = StorePath::parse(input, store.directory())
            .map_err(|source| GraphError::Input { derivation: path.clone(), source })?;
        needed.entry(input).or_default().extend(outputs.iter().map(ToString::to_string));
    }
    Ok(needed)
}
