//! Which package a path of this machine belongs to: dpkg's, Homebrew's or a store's.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

/// What asks dpkg's database (dpkg-query(1)).
const DPKG_QUERY: &str = "/usr/bin/dpkg-query";
/// The most paths that it is asked for at once.
const AT_ONCE: usize = 500;
/// The most packages that a directory is said to belong to.
const SHARED_BY: usize = 3;
/// Characters that it takes for patterns.
const PATTERNS: &[u8] = b"*?[\\";
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
            Owner::Debian { packages } => packages.join(", "),
            Owner::Homebrew { keg: name, .. } | Owner::Store { name } => name.clone(),
        }
    }
}

/// The owner of each path, if a package has it.
pub fn of(paths: &[PathBuf], store: &Path) -> Vec<Option<Owner>> {
    let mut debian = debian(paths);
    let owner = |path: &PathBuf| {
        let real = path.canonicalize();
        let real = real.as_ref().unwrap_or(path);
        in_store(real, store).or_else(|| in_cellar(real)).or_else(|| {
            let packages = debian.remove(path)?;
            Some(Owner::Debian { packages })
        })
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

/// The packages of paths, as far as dpkg knows them; nothing where there is no dpkg.
fn debian(paths: &[PathBuf]) -> HashMap<PathBuf, Vec<String>> {
    if !Path::new(DPKG_QUERY).exists() {
        return HashMap::new();
    }
    let plain: Vec<&PathBuf> = paths
        .iter()
        .filter(|path| !path.as_os_str().as_bytes().iter().any(|byte| PATTERNS.contains(byte)))
        .collect();
    let mut known = HashMap::new();
    for some in plain.chunks(AT_ONCE) {
        let mut query = Command::new(DPKG_QUERY);
        query.arg("--search").args(some).env("LC_ALL", "C").stdin(Stdio::null()).stderr(Stdio::null());
        // It fails if it does not know one of them.
        let Ok(output) = query.output() else { break };
        known.extend(output.stdout.split(|byte| *byte == b'\n').filter_map(line));
    }
    known
}

/// A line of its answer: names of packages, and a path; none for a directory that many share, and that is nobody's.
fn line(line: &[u8]) -> Option<(PathBuf, Vec<String>)> {
    let colon = line.windows(3).position(|bytes| bytes == b": /")?;
    let packages: Vec<String> = str::from_utf8(&line[..colon]).ok()?.split(", ").map(str::to_owned).collect();
    // The other kind of line tells of diversions.
    let named = packages.len() <= SHARED_BY && packages.iter().all(|package| !package.contains(' '));
    named.then(|| (PathBuf::from(OsStr::from_bytes(&line[colon + 2..])), packages))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_dpkg_are_read() {
        let read = |text: &str| line(text.as_bytes());
        assert_eq!(read("bash: /bin/bash"), Some(("/bin/bash".into(), vec!["bash".into()])));
        let shared = "libc6:amd64, libc6-dev:amd64: /usr/share/doc";
        let packages = vec!["libc6:amd64".to_owned(), "libc6-dev:amd64".to_owned()];
        assert_eq!(read(shared), Some(("/usr/share/doc".into(), packages)));
        assert_eq!(read("a, b, c, d: /usr"), None, "nobody's");
        assert_eq!(read("diversion by dash from: /bin/sh"), None);
        assert_eq!(read(""), None);
        let odd = "a: /b: /c";
        assert_eq!(read(odd), Some(("/b: /c".into(), vec!["a".into()])));
    }

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
