//! Where a path of a view comes from: the view itself, or a host path that an entry shows.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use nfs_server::view::{Access, Entry, ViewSpec};

/// Where a path comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is only in the view: declared, or a directory that leads to something declared.
    Declared,
    /// It is, or lies below, a host path that is shown.
    Shown,
    /// It is a writable directory, or lies in one.
    Writable,
}

/// The origins of all paths of a view.
pub(super) struct Origins {
    entries: HashMap<PathBuf, Origin>,
    /// Directories that lead to an entry.
    leading: HashSet<PathBuf>,
}

impl Origins {
    pub fn of(view: &ViewSpec) -> Origins {
        let origin = |entry: &Entry| match entry {
            Entry::Scratch { .. } | Entry::Graft { access: Access::Rw, .. } => Origin::Writable,
            Entry::Graft { .. } => Origin::Shown,
            _ => Origin::Declared,
        };
        let above = view.entries.iter().flat_map(|entry| entry.at().ancestors().skip(1));
        Origins {
            entries: view.entries.iter().map(|entry| (entry.at().into(), origin(entry))).collect(),
            leading: above.map(Path::to_path_buf).collect(),
        }
    }

    pub fn get(&self, path: &Path) -> Origin {
        if let Some(origin) = self.entries.get(path) {
            return *origin;
        }
        if self.leading.contains(path) {
            return Origin::Declared;
        }
        path.ancestors()
            .skip(1)
            .find_map(|above| self.entries.get(above))
            .copied()
            .unwrap_or(Origin::Declared)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nfs_server::view::Owner;

    #[test]
    fn the_nearest_entry_says_where_a_path_comes_from() {
        let (mode, owner) = (0o1775, Owner::default());
        let graft = Entry::Graft {
            at: "/nix/store/a".into(),
            source: "/a".into(),
            access: Access::Fixed,
            optional: false,
        };
        let scratch = Entry::Scratch { at: "/nix/store".into(), source: "/s".into(), mode, owner };
        let origins = Origins::of(&ViewSpec { entries: vec![graft, scratch] });
        let get = |path: &str| origins.get(path.as_ref());
        assert_eq!([get("/"), get("/nix"), get("/etc")], [Origin::Declared; 3]);
        assert_eq!([get("/nix/store"), get("/nix/store/new")], [Origin::Writable; 2]);
        assert_eq!([get("/nix/store/a"), get("/nix/store/a/b/c")], [Origin::Shown; 2]);
    }
}
