//! Checks that outputs do not refer to each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::OutputError;
use crate::store::PathInfo;

/// Store paths never refer to each other in a circle; the database would refuse it, with less to say.
pub(super) fn check(infos: &BTreeMap<String, PathInfo>, derivation: &Path) -> Result<(), OutputError> {
    let closures: BTreeMap<&str, BTreeSet<&str>> =
        infos.keys().map(|name| (name.as_str(), reachable(name, infos))).collect();
    for (first, others) in &closures {
        if let Some(second) = others.iter().find(|other| *other != first && closures[**other].contains(first))
        {
            let (first, second) = ((*first).into(), (*second).into());
            return Err(OutputError::Cycle { derivation: derivation.into(), first, second });
        }
    }
    Ok(())
}

/// The outputs that an output refers to, by way of others too.
fn reachable<'a>(from: &'a str, infos: &'a BTreeMap<String, PathInfo>) -> BTreeSet<&'a str> {
    let mut left = vec![from];
    let mut reached = BTreeSet::new();
    while let Some(name) = left.pop() {
        for (other, info) in infos {
            if infos[name].references.contains(&info.path) && other != name && reached.insert(other.as_str())
            {
                left.push(other);
            }
        }
    }
    reached
}
