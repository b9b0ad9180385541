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
    load_without(store, settings, roots, purpose, BTreeSet::new())
}

/// The same, without fetching some paths.
pub(super) fn load_without(
    store: &Store,
    settings: &Settings,
    roots: &BTreeSet<StorePath>,
    purpose: Purpose,
    unfetchable: BTreeSet<StorePath>,
) -> Result<Graph, GraphError> {
    let again = match purpose {
        Purpose::Make => BTreeSet::new(),
        Purpose::Check => roots.clone(),
        Purpose::Repair => broken::derivations(store, roots)?,
    };
    let mut graph = Graph { roots: roots.clone(), purpose, unfetchable, ..Graph::default() };
    let mut offers = Offers { store, settings, answered: BTreeSet::new(), fetchable: BTreeSet::new() };
    let mut inputs: BTreeMap<StorePath, BTreeSet<StorePath>> = BTreeMap::new();
    let mut level: Wanted = roots.iter().map(|path| (path.clone(), BTreeSet::new())).collect();
    // Every round either adds to what is missing or ends.
    while !level.is_empty() {
        let mut missing = missing_of(&level, &mut graph, &mut offers)?;
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
            offers.answered_for_inputs(&path, needed.keys());
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

/// What Nix would fetch. It looks down a graph until it finds something to fetch, so that it is asked about the
/// uppermost derivations alone: without a network each question takes seconds.
struct Offers<'a> {
    store: &'a Store,
    settings: &'a Settings,
    /// Derivations that Nix has been asked about, or has come by.
    answered: BTreeSet<StorePath>,
    fetchable: BTreeSet<StorePath>,
}

impl Offers<'_> {
    /// Asks about some derivations. Whether anything is to be fetched (`substitute`) is left to Nix's answer: without
    /// a network interface `nix config show` says no, whatever is set, while Nix builds with what is set, and fetches
    /// from caches that are files.
    fn ask<'a>(&mut self, about: impl Iterator<Item = &'a StorePath>) -> Result<(), GraphError> {
        let new: BTreeSet<StorePath> = about.filter(|path| !self.answered.contains(path)).cloned().collect();
        if !self.settings.substituters.is_empty() && !new.is_empty() {
            self.fetchable.extend(self.store.fetchable(&new)?);
            self.answered.extend(new);
        }
        Ok(())
    }

    /// Asked about a derivation that has to be built, Nix has looked at its inputs too.
    fn answered_for_inputs<'a>(
        &mut self,
        derivation: &StorePath,
        inputs: impl Iterator<Item = &'a StorePath>,
    ) {
        if self.answered.contains(derivation) {
            self.answered.extend(inputs.cloned());
        }
    }
}

/// Those of a level with a wanted output that is neither valid nor can be fetched.
fn missing_of(
    level: &Wanted,
    graph: &mut Graph,
    offers: &mut Offers<'_>,
) -> Result<Vec<(StorePath, Derivation<'static>)>, GraphError> {
    let store = offers.store;
    let mut read = Vec::new();
    for (path, wanted) in level {
        let derivation = store.derivation(path)?;
        let outputs = wanted_outputs(store, path, &derivation, wanted)?;
        read.push((path.clone(), derivation, outputs));
    }
    let all = read.iter().flat_map(|(_, _, outputs)| outputs.iter().cloned()).collect();
    let mut absent = store.invalid(&all)?;
    let lacking = read.iter().filter(|(_, _, outputs)| !outputs.is_disjoint(&absent));
    offers.ask(lacking.map(|(path, _, _)| path))?;
    let fetchable = &offers.fetchable - &graph.unfetchable;
    graph.fetch.extend(absent.intersection(&fetchable).cloned());
    absent.retain(|path| !fetchable.contains(path));
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
