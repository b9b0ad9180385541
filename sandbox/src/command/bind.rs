//! `SRC[:AT]`: a host path, and where it is shown.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use nfs_server::view::{Access, Entry, path_text};
use serde::{Deserialize, Serialize};

use super::{at_last_colon, without_slash};

/// A host path and its place in the view. As JSON, a path alone is both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Form", into = "Form")]
pub struct BindSpec {
    /// The host path.
    pub source: PathBuf,
    /// The place in the view.
    pub at: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields, expecting = "expected a path, or an object of 'source' and 'at'")]
enum Form {
    Same(#[serde(with = "path_text")] PathBuf),
    Elsewhere {
        #[serde(with = "path_text")]
        source: PathBuf,
        #[serde(with = "path_text")]
        at: PathBuf,
    },
}

impl From<Form> for BindSpec {
    fn from(form: Form) -> BindSpec {
        match form {
            Form::Same(path) => BindSpec::same(path),
            Form::Elsewhere { source, at } => BindSpec { source, at },
        }
    }
}

impl From<BindSpec> for Form {
    fn from(bind: BindSpec) -> Form {
        if bind.is_same() {
            return Form::Same(bind.at);
        }
        Form::Elsewhere { source: bind.source, at: bind.at }
    }
}

impl From<OsString> for BindSpec {
    /// What follows the last colon is the place, so a host path with a colon needs a place after it.
    fn from(word: OsString) -> BindSpec {
        let (source, at) = at_last_colon(&word).unwrap_or((&word, &word));
        BindSpec { source: without_slash(source), at: without_slash(at) }
    }
}

impl BindSpec {
    /// A host path that is shown at its own place.
    #[must_use]
    pub fn same(path: PathBuf) -> BindSpec {
        BindSpec { source: path.clone(), at: path }
    }

    /// Whether it is shown at its own place.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.source == self.at
    }

    /// The word for it on a command line.
    #[must_use]
    pub fn word(&self) -> OsString {
        let mut word = OsString::from(&self.source);
        // After a colon everything is the place.
        if !self.is_same() || word.as_bytes().contains(&b':') {
            word.push(":");
            word.push(&self.at);
        }
        word
    }

    /// The entry that shows it.
    #[must_use]
    pub fn entry(&self, access: Access) -> Entry {
        Entry::Graft { at: self.at.clone(), source: self.source.clone(), access, optional: false }
    }

    /// The entry that shows it read-only if the host has it.
    pub(super) fn optional(&self) -> Entry {
        Entry::Graft { at: self.at.clone(), source: self.source.clone(), access: Access::Ro, optional: true }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn bind(word: &str) -> BindSpec {
        OsString::from(word).into()
    }

    fn read(word: &str) -> (String, String) {
        let bind = bind(word);
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
    fn a_bind_is_read_again_from_its_word_and_from_json() {
        for word in [&b"/a"[..], b"/a:/b", b"/a:b:/a:b", b"/a:b:/c", b"/\xff:/\xfe"] {
            let word = OsString::from_vec(word.into());
            let bind = BindSpec::from(word.clone());
            assert_eq!(bind.word(), word);
            let json = serde_json::to_string(&bind).unwrap();
            assert_eq!(serde_json::from_str::<BindSpec>(&json).unwrap(), bind, "{json}");
        }
        assert_eq!(serde_json::to_string(&bind("/a")).unwrap(), r#""/a""#);
    }

    #[test]
    fn slashes_at_the_end_do_not_matter() {
        assert_eq!(read("/a/:/b//"), ("/a".into(), "/b".into()));
        assert_eq!(read("/"), ("/".into(), "/".into()));
    }
}
