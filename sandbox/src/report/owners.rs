//! Which package a path of this machine belongs to: dpkg's, rpm's, Homebrew's or a store's.

mod dpkg;
mod rpm;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The most paths that a database is asked for at once.
const AT_ONCE: usize = 500;
/// The most packages that a directory is said to belong to.
const SHARED_BY: usize = 3;
/// The directory that Homebrew keeps its packages in, each in one of its name and version.
const CELLAR: &str = "Cellar";

/// A package that is installed on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Owner {
    /// Of Debian and what is made of it.
    Debian {
        /// Its name; the names of a few where they share a directory.
        packages: Vec<String>,
    },
    /// Of Red Hat, SUSE and what is made of theirs.
    Rpm {
        /// Its name; the names of a few where they share a directory.
        packages: Vec<String>,
    },
    /// Of Homebrew.
    Homebrew {
        /// The keg's name.
        keg: String,
        /// Its version.
        version: String,
    },
    /// A path of the store.
    Store {
        /// Its name, without the hash.
        name: String,
    },
}

impl Owner {
    /// Its name, or names.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Owner::Debian { packages } | Owner::Rpm { packages } => packages.join(", "),
            Owner::Homebrew { keg: name, .. } | Owner::Store { name } => name.clone(),
        }
    }
}

/// The owner of each path, if a package has it.
pub fn of(paths: &[PathBuf], store: &Path) -> Vec<Option<Owner>> {
    let (mut debian, mut rpm) = (dpkg::packages(paths), rpm::packages(paths));
    let owner = |path: &PathBuf| {
        let real = path.canonicalize();
        let real = real.as_ref().unwrap_or(path);
        in_store(real, store)
            .or_else(|| in_cellar(real))
            .or_else(|| Some(Owner::Debian { packages: debian.remove(path)? }))
            .or_else(|| Some(Owner::Rpm { packages: rpm.remove(path)? }))
    };
    paths.iter().map(owner).collect()
}

fn in_store(path: &Path, store: &Path) -> Option<Owner> {
    let first = path.strip_prefix(store).ok()?.iter().next()?.to_str()?;
    let (_hash, name) = first.split_once('-')?;
    Some(Owner::Store { name: name.into() })
}

fn in_cellar(path: &Path) -> Option<Owner> {
    let mut names = path.iter().skip_while(|name| *name != CELLAR).skip(1);
    let mut next = || Some(names.next()?.to_str()?.to_owned());
    Some(Owner::Homebrew { keg: next()?, version: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kegs_and_store_paths_are_known_by_where_they_are() {
        let keg = Owner::Homebrew { keg: "readline".into(), version: "8.2.1".into() };
        assert_eq!(in_cellar("/opt/homebrew/Cellar/readline/8.2.1/lib/x".as_ref()), Some(keg));
        assert_eq!(in_cellar("/usr/local/Cellar".as_ref()), None);
        let store = Owner::Store { name: "bash-5.2".into() };
        let path = "/nix/store/0000-bash-5.2/bin";
        assert_eq!(in_store(path.as_ref(), "/nix/store".as_ref()), Some(store));
        assert_eq!(in_store("/usr/bin".as_ref(), "/nix/store".as_ref()), None);
    }

    #[test]
    fn links_lead_to_the_keg_that_they_are_of() {
        let machine = tempfile::tempdir().unwrap();
        let keg = machine.path().join("Cellar/readline/8.2.1/lib");
        std::fs::create_dir_all(&keg).unwrap();
        std::fs::create_dir(machine.path().join("lib")).unwrap();
        std::fs::write(keg.join("libreadline.dylib"), "").unwrap();
        let link = machine.path().join("lib/libreadline.dylib");
        std::os::unix::fs::symlink("../Cellar/readline/8.2.1/lib/libreadline.dylib", &link).unwrap();
        let owners = of(&[link, machine.path().join("nobody's")], "/nix/store".as_ref());
        let expected = Owner::Homebrew { keg: "readline".into(), version: "8.2.1".into() };
        assert_eq!(owners, [Some(expected), None]);
    }
}
