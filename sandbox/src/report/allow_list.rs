//! Paths that a program may ask for although its view does not show them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

use crate::access::PathList;

/// What every program of some kind asks for, and what changes no result.
pub const HARMLESS: &str = include_str!("harmless.txt");

/// Paths, by patterns. What lies below a path that is allowed is allowed too.
#[derive(Clone, Debug)]
pub struct AllowList {
    patterns: GlobSet,
}

/// Why there is no such list.
#[derive(Debug, thiserror::Error)]
pub enum AllowListError {
    /// A file cannot be read.
    #[error("cannot read the allow list {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is no pattern.
    #[error("{path:?}, line {line}: '{pattern}' matches no path from the root")]
    Relative {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What it says.
        pattern: String,
    },
    /// A pattern cannot be understood.
    #[error("{path:?}, line {line} is no pattern")]
    Pattern {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// Why.
        source: globset::Error,
    },
    /// There are more patterns, or longer ones, than can be matched at once.
    #[error("the patterns of the allow lists cannot be matched together")]
    All(#[source] globset::Error),
}

impl AllowList {
    /// The harmless ones, and what these files add to them: a pattern in each line, but for empty ones and those that begin
    /// with `#`.
    ///
    /// # Errors
    /// A file cannot be read, or says something else.
    pub fn read(files: &[PathBuf]) -> Result<AllowList, AllowListError> {
        let mut builder = GlobSetBuilder::new();
        add(&mut builder, Path::new("loopbox's own"), HARMLESS)?;
        for path in files {
            let text = fs::read_to_string(path);
            let text = text.map_err(|source| AllowListError::Read { path: path.clone(), source })?;
            add(&mut builder, path, &text)?;
        }
        Ok(AllowList { patterns: builder.build().map_err(AllowListError::All)? })
    }

    /// Whether a program may ask for it.
    #[must_use]
    pub fn allows(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.patterns.is_match(above))
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

fn add(builder: &mut GlobSetBuilder, path: &Path, text: &str) -> Result<(), AllowListError> {
    for (line, pattern) in (1..).zip(text.lines().map(str::trim)) {
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        if !pattern.starts_with('/') {
            let (path, pattern) = (path.into(), pattern.into());
            return Err(AllowListError::Relative { path, line, pattern });
        }
        let of_line = |source| AllowListError::Pattern { path: path.into(), line, source };
        builder.add(glob(pattern.trim_end_matches('/')).map_err(of_line)?);
    }
    Ok(())
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
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
        assert!(told("/[\n").ends_with(", line 1 is no pattern"));
        let missing = AllowList::read(&["/does/not/exist".into()]).unwrap_err();
        assert_eq!(missing.to_string(), "cannot read the allow list \"/does/not/exist\"");
    }
}
