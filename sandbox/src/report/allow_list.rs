//! Paths that a program may ask for although its view does not show them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::access::PathList;
use crate::patterns::{PatternError, Patterns};

/// What every program of some kind asks for, and what changes no result.
pub const HARMLESS: &str = include_str!("harmless.txt");

/// Paths, by patterns. What lies below a path that is allowed is allowed too.
#[derive(Clone, Debug)]
pub struct AllowList {
    patterns: Patterns,
}

/// Why there is no such list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AllowListError {
    /// A file cannot be read.
    #[error("cannot read the allow list {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It is no such list.
    #[error(transparent)]
    Patterns(#[from] PatternError),
}

impl AllowList {
    /// The harmless ones, and what these files add to them: a pattern in each line, but for empty ones and those that begin
    /// with `#`.
    ///
    /// # Errors
    /// A file cannot be read, or says something else.
    pub fn read(files: &[PathBuf]) -> Result<AllowList, AllowListError> {
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path);
            text.map_err(|source| AllowListError::Read { path: path.clone(), source })
        };
        let texts = files.iter().map(read).collect::<Result<Vec<String>, _>>()?;
        let added = files.iter().map(PathBuf::as_path).zip(texts.iter().map(String::as_str));
        let own = (Path::new("loopbox's own"), HARMLESS);
        Ok(AllowList { patterns: Patterns::of(std::iter::once(own).chain(added))? })
    }

    /// Whether a program may ask for it.
    #[must_use]
    pub fn allows(&self, path: &Path) -> bool {
        self.patterns.match_above(path)
    }

    /// Whether a program may ask for all of these.
    ///
    /// # Errors
    /// Those that it may not ask for; none of them if there are only more than are remembered.
    pub fn check(&self, hidden: PathList) -> Result<(), Vec<PathBuf>> {
        let PathList { mut paths, incomplete } = hidden;
        paths.retain(|path| !self.allows(path));
        if paths.is_empty() && !incomplete { Ok(()) } else { Err(paths) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Result<AllowList, AllowListError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        AllowList::read(&[file.path().into()])
    }

    #[test]
    fn what_is_allowed_is_so_with_all_that_lies_below_it() {
        let list = list("/opt/*/include\n\n # a remark\n/srv/**/cache/\n").unwrap();
        let allows = |path: &str| list.allows(path.as_ref());
        for path in [
            "/etc/ld.so.preload",
            "/usr/share/locale/de/LC_MESSAGES/make.mo",
            "/opt/one/include",
            "/opt/one/include/a.h",
            "/srv/cache",
            "/srv/a/b/cache/c",
        ] {
            assert!(allows(path), "{path}");
        }
        for path in
            ["/", "/etc", "/etc/ld.so.preload2", "/usr/share", "/opt/one", "/opt/one/two/include", "/srv"]
        {
            assert!(!allows(path), "{path}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_allowed() {
        let list = list("/opt\n").unwrap();
        let check = |paths: &[&str], incomplete| {
            let paths = paths.iter().map(PathBuf::from).collect();
            list.check(PathList { paths, incomplete })
        };
        assert_eq!(check(&["/opt/a"], false), Ok(()));
        assert_eq!(check(&["/opt/a", "/usr"], false), Err(vec!["/usr".into()]));
        assert_eq!(check(&["/opt/a"], true), Err(Vec::new()));
    }

    #[test]
    fn what_is_no_list_says_where() {
        let told = |text: &str| list(text).unwrap_err().to_string();
        assert!(told("/a\nusr/include\n").ends_with(", line 2: 'usr/include' matches no path from the root"));
        assert!(told("/[\n").ends_with(", line 1 is not a pattern"));
        let missing = AllowList::read(&["/does/not/exist".into()]).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the allow list \"/does/not/exist\"");
    }
}
