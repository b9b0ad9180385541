//! The rest of the machine: everything that a view does not show otherwise, at its own place and read-only.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry};

use super::{RequestError, directory};

/// What is the kernel's, and another in each view.
const KERNEL: [&str; 3] = ["/dev", "/proc", "/sys"];

/// Entries that show everything beside what `entries` have: a directory that leads to one of these is shown name by name.
/// `cwd` is shown also if it lies in something that is another's in the view, as a directory in /tmp.
pub(super) fn around(entries: &[Entry], cwd: &Path) -> Result<Vec<Entry>, RequestError> {
    let mut taken: BTreeSet<PathBuf> = entries.iter().map(|entry| entry.at().into()).collect();
    let mut found = Vec::new();
    if taken.contains(Path::new("/")) {
        return Ok(found);
    }
    taken.extend(KERNEL.map(PathBuf::from));
    let in_scratch = |entry: &Entry| matches!(entry, Entry::Scratch { .. }) && cwd.starts_with(entry.at());
    if entries.iter().any(in_scratch) && cwd.is_dir() && !taken.contains(cwd) {
        found.push(graft(cwd.into()));
    }
    let mut pending = vec![PathBuf::from("/")];
    while let Some(at) = pending.pop() {
        let failed = |source| RequestError::Machine { path: at.clone(), source };
        found.push(directory(&at));
        for child in fs::read_dir(&at).map_err(failed)? {
            let child = child.map_err(failed)?;
            let path = child.path();
            let leads_on = taken.range(path.clone()..).next().is_some_and(|next| next.starts_with(&path));
            if taken.contains(&path) {
                continue;
            }
            match child.file_type().map_err(failed)? {
                kind if leads_on && kind.is_dir() => pending.push(path),
                // A file cannot lead on: what the caller shows there counts.
                _ if leads_on => {}
                _ => found.push(graft(path)),
            }
        }
    }
    Ok(found)
}

fn graft(at: PathBuf) -> Entry {
    // It may have gone by the time that the view is opened.
    Entry::Graft { source: at.clone(), at, access: Access::Ro, optional: true }
}

#[cfg(test)]
mod tests {
    use nfs_server::view::{Owner, ViewSpec};

    use super::*;

    #[test]
    fn everything_but_what_is_shown_otherwise_is_shown() {
        let machine = tempfile::tempdir().unwrap();
        let top = machine.path().canonicalize().unwrap();
        for directory in ["a/deep/er", "a/other", "b"] {
            fs::create_dir_all(top.join(directory)).unwrap();
        }
        fs::write(top.join("a/deep/file"), "").unwrap();
        let scratch = |at: PathBuf| {
            let source = Path::new("/s").join(at.file_name().unwrap());
            Entry::Scratch { at, source, mode: 0o700, owner: Owner::default() }
        };
        let own = vec![scratch(top.join("a/deep/er")), scratch(top.join("c/new"))];
        let found = around(&own, Path::new("/")).unwrap();
        let shown: BTreeSet<&Path> = found
            .iter()
            .filter(|entry| matches!(entry, Entry::Graft { .. }))
            .map(Entry::at)
            .filter(|at| at.starts_with(&top))
            .collect();
        assert_eq!(
            shown,
            ["a/deep/file", "a/other", "b"].map(|name| top.join(name)).iter().map(|path| &**path).collect()
        );
        let holds =
            |at: &Path| matches!(found.iter().find(|entry| entry.at() == at), Some(Entry::Directory { .. }));
        assert!(holds(Path::new("/")) && holds(&top) && holds(&top.join("a/deep")));
        assert!(!found.iter().any(|entry| KERNEL.iter().any(|kernel| entry.at().starts_with(kernel))));
        ViewSpec { entries: [own, found].concat() }.validate().unwrap();
    }

    #[test]
    fn where_a_command_starts_is_shown_even_if_all_around_it_is_its_own() {
        let machine = tempfile::tempdir().unwrap();
        let (tmp, cwd) = (machine.path().join("tmp"), machine.path().join("tmp/here"));
        fs::create_dir_all(&cwd).unwrap();
        let own = [Entry::Scratch { at: tmp, source: "/s".into(), mode: 0o700, owner: Owner::default() }];
        let found = around(&own, &cwd).unwrap();
        assert!(found.iter().any(|entry| matches!(entry, Entry::Graft { at, .. } if *at == cwd)));
    }
}
