//! Words of Nix's setting `sandbox-paths`: `target`, `target=source`, and either with `?` when it may be missing.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::store_path::StorePath;

/// A host path that builds are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SandboxPath {
    /// Where builds find it.
    pub target: PathBuf,
    /// What is shown there.
    pub source: PathBuf,
    /// Whether it is left out, rather than an error, when the source does not exist.
    pub optional: bool,
}

/// Why a word is not a sandbox path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("'{word}' is not of the form TARGET[=SOURCE][?] with absolute paths that stay below the root")]
pub struct SandboxPathError {
    word: String,
}

impl SandboxPath {
    /// Reads one word.
    ///
    /// # Errors
    /// When one of its paths is not absolute, is the root, or leads out of it.
    pub fn parse(word: &str) -> Result<SandboxPath, SandboxPathError> {
        let bad = || SandboxPathError { word: word.into() };
        let (paths, optional) = match word.strip_suffix('?') {
            Some(paths) => (paths, true),
            None => (word, false),
        };
        let (target, source) = paths.split_once('=').unwrap_or((paths, paths));
        let path = SandboxPath::new(Path::new(target), Path::new(source)).map_err(|_| bad())?;
        Ok(SandboxPath { optional, ..path })
    }

    /// A path that has to exist.
    ///
    /// # Errors
    /// When one of the two is not absolute, the target is the root, or one leads out of it.
    pub fn new(target: &Path, source: &Path) -> Result<SandboxPath, SandboxPathError> {
        let bad = || SandboxPathError { word: format!("{}={}", target.display(), source.display()) };
        let shown = plain(target).filter(|target| target != Path::new("/")).ok_or_else(bad)?;
        Ok(SandboxPath { target: shown, source: plain(source).ok_or_else(bad)?, optional: false })
    }

    /// Reads words, of which empty ones are skipped.
    ///
    /// # Errors
    /// The first bad word.
    pub fn parse_all<'a>(
        words: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<SandboxPath>, SandboxPathError> {
        words.into_iter().filter(|word| !word.is_empty()).map(SandboxPath::parse).collect()
    }

    /// What some of them show of a store: whoever sees that needs the closure too.
    #[must_use]
    pub fn store_paths(paths: &[SandboxPath], store: &Path) -> BTreeSet<StorePath> {
        paths.iter().filter_map(|path| StorePath::containing(&path.source, store).ok()).collect()
    }
}

/// The path without `.`, doubled slashes and `..`, by its text alone: what a link leads to is not looked at.
/// `None` when it is relative or goes above the root.
pub(super) fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::RootDir => plain.push("/"),
            Component::Normal(name) => plain.push(name),
            Component::ParentDir if plain.parent().is_some() => {
                plain.pop();
            }
            Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    plain.is_absolute().then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(word: &str) -> (String, String, bool) {
        let SandboxPath { target, source, optional } = SandboxPath::parse(word).unwrap();
        (target.display().to_string(), source.display().to_string(), optional)
    }

    #[test]
    fn a_word_has_a_target_a_source_and_a_question_mark() {
        assert_eq!(parsed("/bin/sh"), ("/bin/sh".into(), "/bin/sh".into(), false));
        assert_eq!(parsed("/bin/sh=/b//x/?"), ("/bin/sh".into(), "/b/x".into(), true));
        assert_eq!(parsed("/a/./b/../c=/d=e"), ("/a/c".into(), "/d=e".into(), false));
    }

    #[test]
    fn paths_that_are_relative_or_leave_the_root_are_refused() {
        for word in ["bin", "", "/a=b", "/..", "/", "/=/usr", "?"] {
            assert!(SandboxPath::parse(word).is_err(), "{word}");
        }
    }
}
