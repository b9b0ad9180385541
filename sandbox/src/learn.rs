//! Learning a view: a command runs with the whole machine in its view, and what it used becomes the smallest view in which it
//! runs again.

mod programs;
mod secrets;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::path::{Path, PathBuf};

use nfs_server::view::Entry;

use crate::access::{Accesses, PathList};
use crate::command::{BindSpec, Command, Declaration};

pub use secrets::Secrets;
use tree::{Tree, WholeDirs};

/// The view that a command was found to need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LearnedView {
    /// What it is to be shown. Paths that never change are in `closure`.
    pub view: Declaration,
    /// What it used and is not shown, since nobody should see it.
    pub secrets: Vec<PathBuf>,
    /// Directories that it listed and that are shown only as far as it used them.
    pub in_part: Vec<PathBuf>,
    /// Whether it used more than could be remembered, so that the view lacks something.
    pub incomplete: bool,
}

/// Paths that were used, and what is there.
type UsedPaths = BTreeMap<PathBuf, Metadata>;

/// What decides about a view besides what was used.
#[derive(Debug)]
pub struct LearnRules<'a> {
    /// Where nothing changes while it exists: the Nix store.
    pub immutable: &'a Path,
    /// Directories that are never shown whole.
    pub homes: &'a [PathBuf],
    /// What is no one's business.
    pub secrets: &'a Secrets,
}

impl LearnedView {
    /// From what a command found in a view with the whole machine in it.
    #[must_use]
    pub fn of(command: &Command, accesses: &Accesses, rules: &LearnRules<'_>) -> LearnedView {
        let PathList { paths, incomplete } = accesses.found();
        let own = own(command);
        let is_own = |path: &Path| path.ancestors().any(|above| own.contains(above));
        let used: BTreeSet<PathBuf> = paths.into_iter().filter(|path| !is_own(path)).collect();
        let listed: BTreeSet<PathBuf> =
            accesses.listed().paths.iter().filter(|path| !is_own(path)).cloned().collect();
        let mut learnt = of_used(used, &listed, rules);
        learnt.incomplete = incomplete || accesses.listed().incomplete;
        learnt
    }
}

/// What of the view is not the machine's.
fn own(command: &Command) -> BTreeSet<&Path> {
    let machine: BTreeSet<&Path> = command.machine.iter().map(Entry::at).collect();
    let own = command.view.entries.iter().map(Entry::at);
    own.filter(|at| !machine.contains(at)).collect()
}

fn of_used(used: BTreeSet<PathBuf>, listed: &BTreeSet<PathBuf>, rules: &LearnRules<'_>) -> LearnedView {
    let (fixed, rest): (BTreeSet<PathBuf>, BTreeSet<PathBuf>) =
        used.into_iter().partition(|path| path.starts_with(rules.immutable));
    // Some have gone since.
    let found = |path: PathBuf| path.symlink_metadata().ok().map(|found| (path, found));
    let rest: UsedPaths = rest.into_iter().filter_map(found).collect();
    let closure: BTreeSet<PathBuf> = fixed
        .iter()
        .filter_map(|path| {
            let name = path.strip_prefix(rules.immutable).ok()?.iter().next()?;
            Some(rules.immutable.join(name))
        })
        .collect();
    let (secrets, rest): (UsedPaths, UsedPaths) =
        rest.into_iter().partition(|(path, found)| rules.secrets.has(path, found));
    // A directory of secrets is named by what was used in it.
    let secrets = secrets.into_iter().filter(|(path, _)| !path.is_dir()).map(|(path, _)| path).collect();
    let tree = Tree::of(&rest, listed);
    let WholeDirs { whole, in_part } = tree.whole_dirs(rules);
    let is_inside = |path: &Path| path.ancestors().any(|above| whole.contains(above));
    let single: BTreeSet<PathBuf> = rest.keys().filter(|path| !is_inside(path)).cloned().collect();
    let programs::Folded { with, rest: alone } = programs::fold(&single, &whole);
    let mut view = Declaration {
        with,
        closure: closure.into_iter().collect(),
        ro: whole.iter().cloned().map(BindSpec::same).collect(),
        ..Declaration::default()
    };
    for path in alone {
        match &rest[&path] {
            found if !found.is_dir() => view.ro.push(BindSpec::same(path)),
            found if tree::needs_words(&path, found, [&single, &whole]) => view.dir.push(path),
            _ => {}
        }
    }
    view.fold();
    LearnedView { view, secrets, in_part, incomplete: false }
}
