//! The view in which hidden directories can be walked: a program that looks for a file in one is seen to ask for the file,
//! where a client of NFS would otherwise stop at the first directory that is not there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, ViewSpec};

/// What is mounted over in a jail.
const MOUNTED: [&str; 2] = ["/dev", "/proc"];

/// The same view with every directory that only holds other entries as a phantom of this machine's, if it has one there.
/// What is shown, and a program's own places, stay as they are.
#[must_use]
pub fn phantom(view: &ViewSpec) -> ViewSpec {
    let shown: BTreeSet<&Path> = view
        .entries
        .iter()
        .filter(|entry| !matches!(entry, Entry::Directory { .. }))
        .map(Entry::at)
        .collect();
    let holders = view.entries.iter().flat_map(|entry| {
        let own = matches!(entry, Entry::Directory { .. }).then(|| entry.at());
        own.into_iter().chain(entry.at().ancestors().skip(1))
    });
    let mut holders: BTreeSet<&Path> = holders.collect();
    holders.insert(Path::new("/"));
    let is_phantom = |at: &&Path| {
        let is_shown = at.ancestors().any(|above| shown.contains(above));
        let is_mounted = MOUNTED.iter().any(|mounted| at.starts_with(mounted));
        !is_shown && !is_mounted && at.symlink_metadata().is_ok_and(|meta| meta.is_dir())
    };
    let phantoms: BTreeSet<PathBuf> = holders.into_iter().filter(is_phantom).map(Path::to_owned).collect();
    let kept = view.entries.iter().filter(|entry| !phantoms.contains(entry.at())).cloned();
    let graft = |at: &PathBuf| Entry::Graft {
        at: at.clone(),
        source: at.clone(),
        access: Access::Phantom,
        optional: true,
    };
    ViewSpec { entries: kept.chain(phantoms.iter().map(graft)).collect() }
}

#[cfg(test)]
mod tests {
    use nfs_server::view::Owner;

    use super::*;

    #[test]
    fn directories_that_only_lead_to_others_become_phantoms() {
        let machine = tempfile::tempdir().unwrap();
        let at = |name: &str| machine.path().join(name);
        for directory in ["usr/lib/deep", "own", "etc"] {
            std::fs::create_dir_all(at(directory)).unwrap();
        }
        let directory = |at: PathBuf| Entry::Directory { at, mode: 0o755, owner: Owner::default() };
        let graft = Entry::Graft {
            at: at("usr/lib/deep"),
            source: "/somewhere".into(),
            access: Access::Ro,
            optional: false,
        };
        let scratch =
            Entry::Scratch { at: at("own"), source: "/x".into(), mode: 0o700, owner: Owner::default() };
        let below = Entry::Symlink { at: at("own/inside/link"), target: "/x".into() };
        let entries = vec![
            graft.clone(),
            scratch.clone(),
            below.clone(),
            directory(at("etc")),
            directory(at("not on the host")),
            directory("/dev".into()),
        ];
        let found = phantom(&ViewSpec { entries });
        let phantoms: BTreeSet<PathBuf> = found
            .entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Graft { access: Access::Phantom, .. }))
            .map(|entry| entry.at().to_owned())
            .collect();
        let above = machine.path().ancestors().map(Path::to_owned);
        let expected: BTreeSet<PathBuf> = above.chain(["usr", "usr/lib", "etc"].map(at)).collect();
        assert_eq!(phantoms, expected);
        let kept: Vec<Entry> =
            found.entries.into_iter().filter(|entry| !phantoms.contains(entry.at())).collect();
        let others = [directory(at("not on the host")), directory("/dev".into())];
        assert_eq!(kept, [vec![graft, scratch, below], others.to_vec()].concat());
    }
}
