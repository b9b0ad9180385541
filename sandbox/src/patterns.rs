//! Paths by patterns, as the lists have them that tell one kind of path from all others.

use std::path::{Path, PathBuf};

use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Paths that match one of some patterns, and all that lies below these.
#[derive(Clone, Debug)]
pub(crate) struct Patterns {
    set: GlobSet,
}

/// Why a list says nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// A line is no pattern of whole paths.
    #[error("{path:?}, line {line}: '{pattern}' matches no path from the root")]
    Relative {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// Its text.
        pattern: String,
    },
    /// A pattern cannot be understood.
    #[error("{path:?}, line {line} is not a pattern")]
    Pattern {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// The underlying error.
        source: globset::Error,
    },
    /// There are more patterns, or longer ones, than can be matched at once.
    #[error("the patterns of the lists cannot be matched together")]
    All(#[source] globset::Error),
}

impl Patterns {
    /// What these texts have: a pattern in each line, but for empty ones and those that begin with `#`. Each has the name of
    /// the file that it comes from.
    ///
    /// # Errors
    /// A line is no pattern.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Patterns, PatternError> {
        let mut builder = GlobSetBuilder::new();
        for (path, text) in texts {
            add(&mut builder, path, text)?;
        }
        Ok(Patterns { set: builder.build().map_err(PatternError::All)? })
    }

    /// Whether a path, or one above it, matches.
    #[must_use]
    pub fn match_above(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.set.is_match(above))
    }
}

fn add(builder: &mut GlobSetBuilder, path: &Path, text: &str) -> Result<(), PatternError> {
    for (line, pattern) in (1..).zip(text.lines().map(str::trim)) {
        if pattern.is_empty() || pattern.starts_with('#') {
            continue;
        }
        if !pattern.starts_with('/') {
            let (path, pattern) = (path.into(), pattern.into());
            return Err(PatternError::Relative { path, line, pattern });
        }
        let of_line = |source| PatternError::Pattern { path: path.into(), line, source };
        builder.add(glob(pattern.trim_end_matches('/')).map_err(of_line)?);
    }
    Ok(())
}

fn glob(pattern: &str) -> Result<Glob, globset::Error> {
    GlobBuilder::new(pattern).literal_separator(true).build()
}
