//! The access report: what a program asked its view for, in a form for people and for programs.

pub mod allow_list;
mod host_files;
mod owners;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, EntryUsage, ViewSpec, WrittenFile, path_text};
use nfs_server::{CallCounts, SlowCall};
use serde::{Deserialize, Serialize};

use crate::access::PathList;
use crate::command::is_console;
use crate::conditions::ConditionReport;
use crate::session::{PhaseSeconds, SessionOutcome};

pub use host_files::{HASHED_BY_THE_WAY, HASHED_MAX, HostFile};
pub use owners::Owner;

/// The version of the form that a report has as JSON: it grows when a field is taken away or means something else.
pub const VERSION: u32 = 1;

/// What one program asked its view for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What it asked for and was not shown.
    #[serde(flatten)]
    pub not_shown: NotShown,
    /// Paths of its view that it was not allowed to reach or to change.
    pub refused: PathList,
    /// What it wrote, and what it was not allowed to.
    #[serde(default)]
    pub written: Written,
    /// What its view shows of this machine, in the order of their paths.
    pub entries: Vec<EntryReport>,
    /// Files of this machine that it read, and that others may change.
    pub host_files: Vec<HostFile>,
    /// How many more of these there were.
    pub host_files_left_out: u64,
    /// Calls to its server by procedure.
    pub nfs_calls: CallCounts,
    /// The calls that took longest, the slowest first.
    #[serde(default)]
    pub slowest_calls: Vec<SlowCall>,
    /// How long it took.
    pub seconds: PhaseSeconds,
    /// What was refused on purpose.
    #[serde(default, skip_serializing_if = "ConditionReport::is_nothing")]
    pub imposed: ConditionReport,
}

/// What a program asked for and was not shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotShown {
    /// The paths that this machine has.
    pub undeclared: Vec<Undeclared>,
    /// Whether there were more of these than are remembered.
    pub undeclared_incomplete: bool,
    /// How many paths neither its view nor this machine has.
    pub missing: usize,
}

/// What a program wrote. How much it wrote to each place is said there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Written {
    /// The files that most was written to and that were there in the end, the largest first.
    pub files: Vec<WrittenFile>,
    /// Those of the refused paths that it wanted to make, change or remove.
    pub refused: PathList,
}

/// A path that a program asked for and was not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undeclared {
    /// The path.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Whose it is on this machine, if a package's.
    pub owner: Option<Owner>,
}

/// An entry of a view, and what was used of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryReport {
    /// Where it is on this machine.
    #[serde(with = "path_text")]
    pub source: PathBuf,
    /// Who can change it.
    pub kind: EntryKind,
    /// Whether anything was read or listed, or a file found.
    pub used: bool,
    /// The rest.
    #[serde(flatten)]
    pub usage: EntryUsage,
}

/// What an entry of a view is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryKind {
    /// What nobody changes, as a store path.
    Fixed,
    /// What others may change.
    ReadOnly,
    /// What the program may change too.
    Writable,
    /// A place of the program's own.
    Scratch,
}

impl Report {
    /// Of a program that has ended in a view, without owners. In `store`, which the program may write to, names mean the same
    /// everywhere, but for those that it makes itself (`made`). Of the files that it read, as many are hashed as have
    /// `hashed_max` bytes together.
    #[must_use]
    pub fn of(
        view: &ViewSpec,
        store: &Path,
        made: &[PathBuf],
        ended: &SessionOutcome,
        hashed_max: u64,
    ) -> Report {
        let SessionOutcome { accesses, usage, times, imposed, .. } = ended;
        let PathList { paths: hidden, incomplete: undeclared_incomplete } =
            accesses.existing(view, store, made);
        let undeclared = hidden.into_iter().map(|path| Undeclared { path, owner: None }).collect();
        let entries = entries(view, &accesses.usage.entries);
        let host_files = host_files::of(&accesses.usage.files, &entries, hashed_max);
        Report {
            not_shown: NotShown { undeclared, undeclared_incomplete, missing: accesses.missing() },
            refused: accesses.refused(),
            written: Written { files: accesses.usage.written.clone(), refused: accesses.changes_refused() },
            entries,
            host_files,
            host_files_left_out: accesses.usage.files_left_out,
            nfs_calls: usage.nfs_calls.clone(),
            slowest_calls: accesses.slowest_calls.clone(),
            seconds: times.seconds(),
            imposed: imposed.clone(),
        }
    }

    /// What the program was shown of this machine and did not use.
    pub fn unused(&self) -> impl Iterator<Item = &EntryReport> {
        self.entries.iter().filter(|entry| entry.kind != EntryKind::Scratch && !entry.used)
    }
}

impl NotShown {
    /// The paths that this machine has, without their owners.
    #[must_use]
    pub fn hidden(&self) -> PathList {
        let paths = self.undeclared.iter().map(|found| found.path.clone()).collect();
        PathList { paths, incomplete: self.undeclared_incomplete }
    }

    /// Asks this machine's packages whose these are, which takes longer than to know the paths.
    pub fn find_owners(&mut self, store: &Path) {
        let owners = owners::of(&self.hidden().paths, store);
        for (found, owner) in self.undeclared.iter_mut().zip(owners) {
            found.owner = owner;
        }
    }
}

/// What the view says of its use, with where that comes from.
fn entries(view: &ViewSpec, used: &[EntryUsage]) -> Vec<EntryReport> {
    let declared = view.entries.iter().filter_map(|entry| match entry {
        entry if is_console(entry.at()) => None,
        Entry::Graft { at, source, access: Access::Fixed, .. } => Some((at, (source, EntryKind::Fixed))),
        Entry::Graft { at, source, access: Access::Ro, .. } => Some((at, (source, EntryKind::ReadOnly))),
        Entry::Graft { at, source, access: Access::Rw, .. } => Some((at, (source, EntryKind::Writable))),
        Entry::Scratch { at, source, .. } => Some((at, (source, EntryKind::Scratch))),
        _ => None,
    });
    let declared: BTreeMap<&PathBuf, (&PathBuf, EntryKind)> = declared.collect();
    let report = |usage: &EntryUsage| {
        let (source, kind) = declared.get(&usage.at)?;
        let (source, used) = (source.to_path_buf(), usage.is_used());
        Some(EntryReport { source, kind: *kind, used, usage: usage.clone() })
    };
    used.iter().filter_map(report).collect()
}

#[cfg(test)]
mod tests {
    use nfs_server::view::Owner;

    use super::*;

    #[test]
    fn entries_say_what_they_are_and_what_was_used() {
        let graft = |at: &str, access| Entry::Graft {
            at: at.into(),
            source: Path::new("/host").join(at.trim_start_matches('/')),
            access,
            optional: false,
        };
        let entries = vec![
            graft("/fixed", Access::Fixed),
            graft("/ro", Access::Ro),
            graft("/rw", Access::Rw),
            Entry::Scratch { at: "/tmp".into(), source: "/s".into(), mode: 0o700, owner: Owner::default() },
            Entry::Symlink { at: "/link".into(), target: "/ro".into() },
        ];
        let usage = |at: &str, bytes_read| EntryUsage {
            at: at.into(),
            files_read: bytes_read,
            bytes_read,
            ..EntryUsage::default()
        };
        let used = [usage("/fixed", 1), usage("/ro", 0), usage("/rw", 0), usage("/tmp", 0)];
        let found = super::entries(&ViewSpec { entries }, &used);
        let found: Vec<_> =
            found.iter().map(|entry| (entry.source.to_str().unwrap(), entry.kind, entry.used)).collect();
        let expected = [
            ("/host/fixed", EntryKind::Fixed, true),
            ("/host/ro", EntryKind::ReadOnly, false),
            ("/host/rw", EntryKind::Writable, false),
            ("/s", EntryKind::Scratch, false),
        ];
        assert_eq!(found, expected);
    }
}
