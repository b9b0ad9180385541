//! What Nix may build with the network, and what it has to have built before.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::store::{Store, StoreError};
use crate::store_path::StorePath;

/// Which derivations Nix builds first, without the network, and which then, with it. Nix does not tell an external builder
/// that a derivation is impure, but it refuses to build one that needs an impure one and is neither fixed nor impure:
/// so all that is left to build in the second phase may use the network.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Phases {
    /// What needs no impure derivation: inputs of those below, and what was asked for.
    pub sealed: Vec<StorePath>,
    /// Those that were asked for and are impure, or need one that is.
    pub open: Vec<StorePath>,
}

impl Phases {
    pub fn of(store: &Store, roots: &[StorePath]) -> Result<Phases, StoreError> {
        let mut inputs: BTreeMap<StorePath, (bool, Vec<StorePath>)> = BTreeMap::new();
        let mut unread: Vec<StorePath> = roots.to_vec();
        while let Some(path) = unread.pop() {
            if inputs.contains_key(&path) {
                continue;
            }
            let derivation = store.derivation(&path)?;
            let parse = |(input, _): &(Cow<'_, str>, _)| StorePath::parse(input, store.directory());
            let needed: Vec<StorePath> = derivation
                .input_derivations
                .iter()
                .map(parse)
                .collect::<Result<_, _>>()
                .map_err(|source| StoreError::Answer { program: "nix-instantiate", source })?;
            unread.extend(needed.iter().cloned());
            inputs.insert(path, (derivation.is_impure(), needed));
        }
        Ok(Phases::sort(&inputs, roots))
    }

    fn sort(inputs: &BTreeMap<StorePath, (bool, Vec<StorePath>)>, roots: &[StorePath]) -> Phases {
        let impure = inputs.iter().filter(|(_, (impure, _))| *impure).map(|(path, _)| path.clone());
        let mut open: BTreeSet<StorePath> = impure.collect();
        // Every round adds one at least, or ends.
        loop {
            let before = open.len();
            let more =
                inputs.iter().filter(|(_, (_, needed))| needed.iter().any(|input| open.contains(input)));
            let more: Vec<StorePath> = more.map(|(path, _)| path.clone()).collect();
            open.extend(more);
            if open.len() == before {
                break;
            }
        }
        let needed = open.iter().filter_map(|path| Some(&inputs.get(path)?.1)).flatten();
        let sealed: BTreeSet<&StorePath> = needed.chain(roots).filter(|path| !open.contains(*path)).collect();
        Phases {
            sealed: sealed.into_iter().cloned().collect(),
            open: roots.iter().filter(|root| open.contains(*root)).cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_impure_derivation_is_built_first_and_without_the_network() {
        let path =
            |name: &str| StorePath::new(&format!("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-{name}.drv")).unwrap();
        let paths = |names: &[&str]| names.iter().map(|name| path(name)).collect::<Vec<_>>();
        let graph: BTreeMap<_, _> = [
            ("fixed", false, &["impure", "tool"][..]),
            ("impure", true, &["earlier", "tool"]),
            ("earlier", true, &["library"]),
            ("library", false, &[]),
            ("tool", false, &["library"]),
            ("other", false, &["tool"]),
        ]
        .into_iter()
        .map(|(name, impure, needed)| (path(name), (impure, paths(needed))))
        .collect();
        let sort = |roots: &[&str]| Phases::sort(&graph, &paths(roots));
        assert_eq!(
            sort(&["fixed", "other"]),
            Phases { sealed: paths(&["library", "other", "tool"]), open: paths(&["fixed"]) }
        );
        let pure: BTreeMap<_, _> = graph.into_iter().filter(|(_, (impure, _))| !impure).collect();
        assert!(Phases::sort(&pure, &paths(&["other"])).open.is_empty());
    }
}
