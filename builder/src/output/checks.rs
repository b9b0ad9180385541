//! Checks what a derivation demands of its outputs, before any of them is in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::plan::PlannedOutput;
use crate::store::PathInfo;
use crate::store_path::StorePath;

/// An output is not what its derivation demands. The words are Nix's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CheckError {
    /// The output is too large.
    #[error("path '{}' is too large at {size} bytes; limit is {limit} bytes", path.display())]
    Size {
        /// The output.
        path: PathBuf,
        /// Its archive's size.
        size: u64,
        /// The most bytes that are allowed.
        limit: u64,
    },
    /// The output with all that it needs is too large.
    #[error("closure of path '{}' is too large at {size} bytes; limit is {limit} bytes", path.display())]
    ClosureSize {
        /// The output.
        path: PathBuf,
        /// The archives' size.
        size: u64,
        /// The most bytes that are allowed.
        limit: u64,
    },
    /// The output refers to what it must not.
    #[error("output '{}' is not allowed to refer to the following paths:{}", path.display(), listed(bad))]
    References {
        /// The output.
        path: PathBuf,
        /// What it must not refer to.
        bad: Vec<PathBuf>,
    },
}

/// What is known about paths: the new outputs, and the closure of all that they refer to in the store.
pub(super) struct PathInfos<'a> {
    pub store: &'a Path,
    pub new: BTreeMap<&'a StorePath, &'a PathInfo>,
    pub valid: BTreeMap<StorePath, PathInfo>,
}

impl PathInfos<'_> {
    /// Checks one new output.
    pub fn check(&self, output: &PlannedOutput, info: &PathInfo) -> Result<(), CheckError> {
        let (checks, path) = (&output.checks, || output.path.within(self.store));
        if let Some(limit) = checks.max_size.filter(|limit| info.nar_size > *limit) {
            return Err(CheckError::Size { path: path(), size: info.nar_size, limit });
        }
        let mut closure = if checks.need_closure() { self.closure(&output.path) } else { BTreeSet::new() };
        if let Some(limit) = checks.max_closure_size {
            let sizes = closure.iter().filter_map(|path| self.info(path)).map(|info| info.nar_size);
            let size = sizes.fold(0, u64::saturating_add);
            if size > limit {
                return Err(CheckError::ClosureSize { path: path(), size, limit });
            }
        }
        if checks.ignore_self {
            closure.remove(&output.path);
        }
        let direct: BTreeSet<&StorePath> = info.references.iter().collect();
        self.only(&output.path, &direct, checks.allowed_references.as_ref())?;
        self.only(&output.path, &closure, checks.allowed_requisites.as_ref())?;
        self.none(&output.path, &direct, &checks.disallowed_references)?;
        self.none(&output.path, &closure, &checks.disallowed_requisites)
    }

    fn only(
        &self,
        path: &StorePath,
        used: &BTreeSet<&StorePath>,
        allowed: Option<&BTreeSet<StorePath>>,
    ) -> Result<(), CheckError> {
        let Some(allowed) = allowed else { return Ok(()) };
        self.refuse(path, used.iter().filter(|used| !allowed.contains(**used)))
    }

    fn none(
        &self,
        path: &StorePath,
        used: &BTreeSet<&StorePath>,
        disallowed: &BTreeSet<StorePath>,
    ) -> Result<(), CheckError> {
        self.refuse(path, used.iter().filter(|used| disallowed.contains(**used)))
    }

    fn refuse<'b>(
        &self,
        path: &StorePath,
        bad: impl Iterator<Item = &'b &'b StorePath>,
    ) -> Result<(), CheckError> {
        let bad: Vec<PathBuf> = bad.map(|bad| bad.within(self.store)).collect();
        if bad.is_empty() {
            Ok(())
        } else {
            Err(CheckError::References { path: path.within(self.store), bad })
        }
    }

    fn info(&self, path: &StorePath) -> Option<&PathInfo> {
        self.new.get(path).copied().or_else(|| self.valid.get(path))
    }

    /// A path and all that it needs.
    fn closure<'b>(&'b self, path: &'b StorePath) -> BTreeSet<&'b StorePath> {
        let (mut closure, mut left) = (BTreeSet::new(), vec![path]);
        while let Some(path) = left.pop() {
            if closure.insert(path) {
                left.extend(self.info(path).into_iter().flat_map(|info| &info.references));
            }
        }
        closure
    }
}

fn listed(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("\n  {}", path.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::OutputChecks;

    fn path(name: &str) -> StorePath {
        StorePath::new(&format!("{}-{name}", name[..1].repeat(32))).unwrap()
    }

    fn info(name: &str, references: &[&str]) -> PathInfo {
        let references = references.iter().map(|name| path(name)).collect();
        PathInfo { path: path(name), nar_hash: String::new(), nar_size: 100, deriver: None, references }
    }

    /// `a` refers to itself, to the other output `b`, and so to `c` and `d`.
    fn check(checks: OutputChecks) -> String {
        let (a, b) = (info("a", &["a", "b"]), info("b", &["c"]));
        let valid = [info("c", &["d"]), info("d", &[])].map(|info| (info.path.clone(), info));
        let known = PathInfos {
            store: Path::new("/s"),
            new: BTreeMap::from([(&a.path, &a), (&b.path, &b)]),
            valid: valid.into(),
        };
        let output = PlannedOutput {
            name: "out".into(),
            path: path("a"),
            fixed: None,
            checks,
            discard_references: false,
        };
        known.check(&output, &a).err().map(|error| error.to_string()).unwrap_or_default()
    }

    fn set(names: &[&str]) -> BTreeSet<StorePath> {
        names.iter().map(|name| path(name)).collect()
    }

    #[test]
    fn what_is_not_allowed_is_listed_in_nix_s_words() {
        let checks = OutputChecks { allowed_references: Some(set(&["c"])), ..OutputChecks::default() };
        insta::assert_snapshot!(check(checks), @"
        output '/s/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a' is not allowed to refer to the following paths:
          /s/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a
          /s/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-b
        ");
        let allowed =
            |names| OutputChecks { allowed_references: Some(set(names)), ..OutputChecks::default() };
        assert_eq!(check(allowed(&["a", "b"])), "");
        assert!(check(allowed(&[])).contains("aaaa"), "an empty list allows nothing, not even itself");
    }

    #[test]
    fn requisites_are_those_of_other_new_outputs_too() {
        let allowed = |names, ignore_self| OutputChecks {
            allowed_requisites: Some(set(names)),
            ignore_self,
            ..OutputChecks::default()
        };
        assert_eq!(check(allowed(&["b", "c", "d"], true)), "");
        assert!(check(allowed(&["b", "c", "d"], false)).ends_with("-a"));
        assert!(check(allowed(&["b", "c"], true)).ends_with("-d"));
    }

    #[test]
    fn what_is_disallowed_is_found_in_references_or_in_requisites() {
        let references = OutputChecks { disallowed_references: set(&["d"]), ..OutputChecks::default() };
        assert_eq!(check(references), "");
        let requisites = OutputChecks { disallowed_requisites: set(&["d", "a"]), ..OutputChecks::default() };
        assert!(
            check(OutputChecks { ignore_self: true, ..requisites.clone() })
                .ends_with("following paths:\n  /s/dddddddddddddddddddddddddddddddd-d")
        );
        assert_eq!(check(requisites).lines().count(), 3);
    }

    #[test]
    fn sizes_have_limits_that_may_be_reached() {
        let sizes = |max_size, max_closure_size| OutputChecks {
            max_size,
            max_closure_size,
            ..OutputChecks::default()
        };
        assert_eq!(check(sizes(Some(100), Some(400))), "");
        insta::assert_snapshot!(check(sizes(Some(99), None)), @"path '/s/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a' is too large at 100 bytes; limit is 99 bytes");
        insta::assert_snapshot!(check(sizes(None, Some(399))), @"closure of path '/s/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-a' is too large at 400 bytes; limit is 399 bytes");
    }
}
