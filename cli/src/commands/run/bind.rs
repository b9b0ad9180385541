//! `SRC[:AT]`: a host path, and where it is shown.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use sandbox::command::without_slash;
use sandbox::view::{Access, Entry};

/// A host path and its place in the view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// The host path.
    pub source: PathBuf,
    /// The place in the view.
    pub at: PathBuf,
}

impl FromStr for Bind {
    type Err = Infallible;

    /// What follows the last colon is the place, so a host path with a colon needs a place after it.
    fn from_str(word: &str) -> Result<Bind, Infallible> {
        let (source, at) = word.rsplit_once(':').unwrap_or((word, word));
        Ok(Bind { source: without_slash(source.as_ref()), at: without_slash(at.as_ref()) })
    }
}

impl Bind {
    /// The entry that shows it.
    pub fn entry(&self, access: Access) -> Entry {
        Entry::Graft { at: self.at.clone(), source: self.source.clone(), access, optional: false }
    }
}

#[cfg(test)]
mod tests {
    use super::Bind;

    fn read(word: &str) -> (String, String) {
        let bind: Bind = word.parse().unwrap();
        (bind.source.display().to_string(), bind.at.display().to_string())
    }

    #[test]
    fn without_a_place_the_host_path_is_the_place() {
        assert_eq!(read("/a/b"), ("/a/b".into(), "/a/b".into()));
    }

    #[test]
    fn the_last_colon_separates_the_place() {
        assert_eq!(read("/a:b:/c"), ("/a:b".into(), "/c".into()));
    }

    #[test]
    fn slashes_at_the_end_do_not_matter() {
        assert_eq!(read("/a/:/b//"), ("/a".into(), "/b".into()));
        assert_eq!(read("/"), ("/".into(), "/".into()));
    }
}
