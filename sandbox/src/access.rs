//! What a build asked for that exists on this machine but not in its view.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nfs_server::view::{AccessObserver, Entry, LookupOutcome, ViewSpec, path_text};
use serde::{Deserialize, Serialize};

/// Paths that are remembered. A configure script asks for some thousands that no machine has.
const REMEMBERED: usize = 20_000;

/// Collects hidden paths while a view is used. They are compared with the machine only afterwards, so that the calls
/// of a build never wait for that.
#[derive(Debug, Default)]
pub struct AccessLog {
    asked: Mutex<Accesses>,
}

/// What a view was asked for and did not show.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accesses {
    #[serde(with = "path_text::all")]
    paths: HashSet<PathBuf>,
    forgotten: bool,
}

/// The paths that a build asked for and was not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Hidden {
    /// Those that exist on this machine, in order.
    pub paths: Vec<PathBuf>,
    /// Whether there were more than could be remembered.
    pub incomplete: bool,
}

impl AccessObserver for AccessLog {
    fn observe(&self, decision: LookupOutcome, path: &dyn Fn() -> PathBuf) {
        if decision != LookupOutcome::Hidden {
            return;
        }
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.paths.len() < REMEMBERED {
            asked.paths.insert(path());
        } else {
            asked.forgotten = true;
        }
    }
}

impl AccessLog {
    /// What there is, which begins anew.
    #[must_use]
    pub fn take(&self) -> Accesses {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Accesses {
    /// Those that exist on this machine now. What lies in a directory that the build writes to is left out: it has a
    /// content of its own there. The store directory is such a directory too, but its names mean the same everywhere.
    #[must_use]
    pub fn existing(&self, view: &ViewSpec, store: &Path) -> Hidden {
        let own = |path: &Path| {
            view.entries.iter().any(
                |entry| matches!(entry, Entry::Scratch { at, .. } if at != store && path.starts_with(at)),
            )
        };
        let exists = |path: &&PathBuf| !own(path) && path.symlink_metadata().is_ok();
        let mut paths: Vec<PathBuf> = self.paths.iter().filter(exists).cloned().collect();
        paths.sort_unstable();
        Hidden { paths, incomplete: self.forgotten }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfs_server::view::Owner;

    #[test]
    fn only_hidden_paths_that_this_machine_has_are_listed() {
        let machine = tempfile::tempdir().unwrap();
        let (there, missing) = (machine.path().join("there"), machine.path().join("missing"));
        let (own, store) = (machine.path().join("own"), machine.path().join("store"));
        for path in [&there, &own.join("file"), &store.join("undeclared")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let sink = AccessLog::default();
        for path in [&there, &missing, &own.join("file"), &store.join("undeclared")] {
            sink.observe(LookupOutcome::Hidden, &|| path.clone());
        }
        sink.observe(LookupOutcome::Found, &|| machine.path().into());
        let scratch = |at: &PathBuf| Entry::Scratch {
            at: at.clone(),
            source: "/x".into(),
            mode: 0o700,
            owner: Owner::default(),
        };
        let view = ViewSpec { entries: vec![scratch(&own), scratch(&store)] };
        let hidden = sink.take().existing(&view, &store);
        assert_eq!(hidden, Hidden { paths: vec![store.join("undeclared"), there], incomplete: false });
    }
}
