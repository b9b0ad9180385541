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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store_path::StorePath;

    fn path(name: &str) -> StorePath {
        StorePath::new(&format!("{}-{name}", "a".repeat(32))).unwrap()
    }

    /// What is wrong with outputs of which each refers to these.
    fn problem(outputs: &[(&str, &[&str])]) -> Option<String> {
        let info = |name, references: &[&str]| PathInfo {
            path: path(name),
            nar_hash: String::new(),
            nar_size: 0,
            deriver: None,
            references: references.iter().map(|name| path(name)).collect(),
        };
        let infos = outputs.iter().map(|(name, references)| ((*name).into(), info(name, references)));
        check(&infos.collect(), Path::new("/x.drv")).err().map(|error| error.to_string())
    }

    #[test]
    fn two_outputs_that_refer_to_each_other_are_a_circle() {
        assert_eq!(
            problem(&[("dev", &["out"]), ("out", &["dev"])]).unwrap(),
            "cycle detected in build of '/x.drv' in the references of output 'dev' from output 'out'"
        );
    }

    #[test]
    fn a_circle_may_lead_by_other_outputs() {
        assert_eq!(
            problem(&[("a", &[]), ("b", &["a", "c"]), ("c", &["d"]), ("d", &["b"])]).unwrap(),
            "cycle detected in build of '/x.drv' in the references of output 'b' from output 'c'"
        );
    }

    #[test]
    fn an_output_may_refer_to_itself_and_to_one_in_two_ways() {
        assert_eq!(
            problem(&[("a", &["a", "b", "c"]), ("b", &["d"]), ("c", &["d", "input"]), ("d", &["d"])]),
            None
        );
    }
}
