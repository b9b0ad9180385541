//! What a program asked its view for: what that hid or refused, and what of it was used.

mod scratches;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nfs_server::SlowCall;
use nfs_server::view::{AccessObserver, Entry, LookupOutcome, View, ViewSpec, ViewUsage, path_text};
use serde::{Deserialize, Serialize};

/// Bytes of paths that are remembered of each kind. The server sends them in one message, in which a byte may take six.
const BYTES_REMEMBERED: usize = 3 << 20;
/// As much of what is hidden. A configure script asks for some thousands that no machine has.
const HIDDEN_MAX: RecordLimit = RecordLimit { paths: 20_000, bytes: BYTES_REMEMBERED };
/// As much of what may not be reached, and of what may not be changed.
const REFUSED_MAX: RecordLimit = RecordLimit { paths: 20_000, bytes: BYTES_REMEMBERED / 2 };
/// As much of what is found, where that is remembered and hardly anything else.
const FOUND_MAX: RecordLimit = RecordLimit { paths: 200_000, bytes: 2 * BYTES_REMEMBERED };

/// Files that are listed as those that most was written to: more than a person reads, and 800 KiB of paths at most.
const WRITTEN_MAX: usize = 200;

/// How many paths, and bytes of them, are remembered.
#[derive(Clone, Copy)]
struct RecordLimit {
    paths: usize,
    bytes: usize,
}

/// What is remembered of what a view is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Recording {
    /// Nothing.
    #[default]
    Nothing,
    /// What it hides or refuses, and what of it is used.
    Hidden,
    /// Everything that is found in it, by all its names. Each lookup takes longer then.
    Found,
}

impl Recording {
    fn wants(self, outcome: LookupOutcome) -> bool {
        match outcome {
            LookupOutcome::Hidden | LookupOutcome::Refused | LookupOutcome::ChangeRefused => {
                self == Recording::Hidden
            }
            LookupOutcome::Found => self == Recording::Found,
            LookupOutcome::Absent => false,
        }
    }
}

/// Collects paths while a view is used. They are compared with the machine only afterwards, so that the calls of a build
/// never wait for that.
#[derive(Debug, Default)]
pub struct AccessLog {
    recording: Recording,
    asked: Mutex<Accesses>,
}

/// What a view was asked for.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accesses {
    hidden: Paths,
    refused: Paths,
    changes_refused: Paths,
    found: Paths,
    listed: PathList,
    /// What was used of what the view shows.
    pub usage: ViewUsage,
    /// The calls to its server that took longest, the slowest first.
    pub slowest_calls: Vec<SlowCall>,
}

/// Paths, as many as are remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paths {
    #[serde(with = "path_text::all")]
    paths: HashSet<PathBuf>,
    bytes: usize,
    forgotten: bool,
}

impl Paths {
    fn insert(&mut self, path: PathBuf, most: RecordLimit) {
        if self.paths.contains(&path) {
            return;
        }
        let bytes = self.bytes + path.as_os_str().len();
        if self.paths.len() < most.paths && bytes <= most.bytes {
            self.bytes = bytes;
            self.paths.insert(path);
        } else {
            self.forgotten = true;
        }
    }

    fn sorted(&self, wanted: impl Fn(&Path) -> bool) -> PathList {
        let mut paths: Vec<PathBuf> = self.paths.iter().filter(|path| wanted(path)).cloned().collect();
        paths.sort_unstable();
        PathList { paths, incomplete: self.forgotten }
    }
}

/// Paths that a program asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathList {
    /// In order.
    #[serde(with = "path_text::all")]
    pub paths: Vec<PathBuf>,
    /// Whether there were more than could be remembered.
    pub incomplete: bool,
}

impl AccessObserver for AccessLog {
    fn observe(&self, decision: LookupOutcome, path: &dyn Fn() -> PathBuf) {
        if !self.recording.wants(decision) {
            return;
        }
        let path = path();
        // What is found and read takes no lock. This one is hardly ever waited for: a mount has one connection, whose thread
        // looks up all names.
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match decision {
            LookupOutcome::Hidden => asked.hidden.insert(path, HIDDEN_MAX),
            LookupOutcome::Refused => asked.refused.insert(path, REFUSED_MAX),
            LookupOutcome::ChangeRefused => asked.changes_refused.insert(path, REFUSED_MAX),
            LookupOutcome::Found => asked.found.insert(path, FOUND_MAX),
            LookupOutcome::Absent => {}
        }
    }
}

impl AccessLog {
    /// Nothing yet.
    #[must_use]
    pub fn new(recording: Recording) -> AccessLog {
        AccessLog { recording, asked: Mutex::default() }
    }

    /// What there is, which begins anew, and what of the view was used.
    #[must_use]
    pub fn take(&self, view: &View) -> Accesses {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner));
        match self.recording {
            Recording::Found => {
                let (paths, all) = view.listed(BYTES_REMEMBERED);
                Accesses { listed: PathList { paths, incomplete: !all }, ..asked }
            }
            Recording::Nothing | Recording::Hidden => {
                Accesses { usage: view.usage(BYTES_REMEMBERED, WRITTEN_MAX), ..asked }
            }
        }
    }
}

impl Accesses {
    /// The hidden ones that exist on this machine now. What lies in a directory that the build writes to is left out: it has
    /// a content of its own there. The store directory is such a directory too, but its names mean the same everywhere, but for
    /// those that it makes itself (`made`).
    #[must_use]
    pub fn existing(&self, view: &ViewSpec, store: &Path, made: &[PathBuf]) -> PathList {
        let own = |path: &Path| {
            let is_made = made.iter().any(|made| path.starts_with(made));
            is_made
                || view.entries.iter().any(
                    |entry| matches!(entry, Entry::Scratch { at, .. } if at != store && path.starts_with(at)),
                )
        };
        let hidden = self.hidden.sorted(|path| !own(path));
        let last = hidden.paths.iter().enumerate().filter(|(at, path)| {
            // A directory that was only gone through, which is possible in a phantom, is followed by what was looked for in it.
            let below = hidden.paths.get(at + 1).is_some_and(|next| next.starts_with(path));
            !below && path.symlink_metadata().is_ok()
        });
        let paths = last.map(|(_, path)| path.clone()).collect();
        PathList { paths, incomplete: hidden.incomplete }
    }

    /// How many paths were asked for that neither the view nor this machine has.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.hidden.paths.iter().filter(|path| path.symlink_metadata().is_err()).count()
    }

    /// Everything that was found, by every name.
    #[must_use]
    pub fn found(&self) -> PathList {
        self.found.sorted(|_| true)
    }

    /// The directories that were listed.
    #[must_use]
    pub fn listed(&self) -> &PathList {
        &self.listed
    }

    /// Those that the view shows and did not let the program reach or change.
    #[must_use]
    pub fn refused(&self) -> PathList {
        let PathList { mut paths, incomplete } = self.refused.sorted(|_| true);
        let changes = self.changes_refused();
        paths.extend(changes.paths);
        paths.sort_unstable();
        paths.dedup();
        PathList { paths, incomplete: incomplete || changes.incomplete }
    }

    /// Those of them that it wanted to make, change or remove.
    #[must_use]
    pub fn changes_refused(&self) -> PathList {
        self.changes_refused.sorted(|_| true)
    }
}

#[cfg(test)]
mod tests {
    use nfs_server::view::Owner;

    use super::*;

    #[test]
    fn no_more_is_remembered_than_fits_a_message() {
        let log = AccessLog::new(Recording::Hidden);
        let name = |number: usize| PathBuf::from(format!("/{number}{}", "\u{1}".repeat(4000)));
        for number in (0..1000).chain(0..1000) {
            log.observe(LookupOutcome::Hidden, &|| name(number));
            log.observe(LookupOutcome::Refused, &|| name(number));
            log.observe(LookupOutcome::ChangeRefused, &|| name(number));
        }
        let nothing = View::open(&ViewSpec { entries: Vec::new() }, None).unwrap();
        let asked = log.take(&nothing);
        assert_eq!(asked.missing(), BYTES_REMEMBERED / name(100).as_os_str().len());
        assert!(asked.refused().incomplete && asked.changes_refused().incomplete);
        assert!(serde_json::to_vec(&asked).unwrap().len() < 64 << 20);
    }

    #[test]
    fn what_may_not_be_changed_is_refused_too() {
        let log = AccessLog::new(Recording::Hidden);
        for (outcome, path) in [
            (LookupOutcome::ChangeRefused, "/b"),
            (LookupOutcome::Refused, "/c"),
            (LookupOutcome::Refused, "/b"),
            (LookupOutcome::ChangeRefused, "/a"),
        ] {
            log.observe(outcome, &|| path.into());
        }
        let nothing = View::open(&ViewSpec { entries: Vec::new() }, None).unwrap();
        let asked = log.take(&nothing);
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(asked.refused().paths, paths(&["/a", "/b", "/c"]));
        assert_eq!(asked.changes_refused().paths, paths(&["/a", "/b"]));
    }

    #[test]
    fn only_hidden_paths_that_this_machine_has_are_listed() {
        let machine = tempfile::tempdir().unwrap();
        let (there, missing) = (machine.path().join("there"), machine.path().join("missing"));
        let (own, store) = (machine.path().join("own"), machine.path().join("store"));
        for path in [&there, &own.join("file"), &store.join("undeclared"), &store.join("made/file")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let sink = AccessLog::new(Recording::Hidden);
        for path in [&there, &missing, &own.join("file"), &store.join("undeclared"), &store.join("made/file")]
        {
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
        let nothing = View::open(&ViewSpec { entries: Vec::new() }, None).unwrap();
        let hidden = sink.take(&nothing).existing(&view, &store, &[store.join("made")]);
        assert_eq!(hidden, PathList { paths: vec![store.join("undeclared"), there], incomplete: false });
    }
}
