//! `TARGET:AT`: a symbolic link, and where it is.

use std::ffi::OsString;
use std::path::PathBuf;

use nfs_server::view::{Entry, path_text};
use serde::{Deserialize, Serialize};

use super::{at_last_colon, without_slash};

/// A symbolic link of the view.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What it says, as in `usr/bin`.
    #[serde(with = "path_text")]
    pub target: PathBuf,
    /// Its place in the view.
    #[serde(with = "path_text")]
    pub at: PathBuf,
}

/// A word that names no place for a link.
#[derive(Debug, thiserror::Error)]
#[error("a target and a place are needed, as in usr/bin:/bin")]
pub struct LinkError;

impl TryFrom<OsString> for Link {
    type Error = LinkError;

    /// What follows the last colon is the place.
    fn try_from(word: OsString) -> Result<Link, LinkError> {
        match at_last_colon(&word) {
            Some((target, at)) if !target.is_empty() && !at.is_empty() => {
                Ok(Link { target: target.into(), at: without_slash(at) })
            }
            _ => Err(LinkError),
        }
    }
}

impl Link {
    /// The word for it on a command line.
    #[must_use]
    pub fn word(&self) -> OsString {
        let mut word = OsString::from(&self.target);
        word.push(":");
        word.push(&self.at);
        word
    }

    /// The entry that it is.
    pub(super) fn entry(&self) -> Entry {
        Entry::Symlink { at: self.at.clone(), target: self.target.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_read_again_from_its_word_and_from_json() {
        let link = Link::try_from(OsString::from("usr/bin:/bin/")).unwrap();
        assert_eq!(link, Link { target: "usr/bin".into(), at: "/bin".into() });
        assert_eq!(link.word(), "usr/bin:/bin");
        let json = serde_json::to_string(&link).unwrap();
        assert_eq!(json, r#"{"target":"usr/bin","at":"/bin"}"#);
        assert_eq!(serde_json::from_str::<Link>(&json).unwrap(), link);
    }

    #[test]
    fn both_parts_are_needed() {
        for word in ["/bin", "", ":/bin", "usr/bin:"] {
            assert!(Link::try_from(OsString::from(word)).is_err(), "{word}");
        }
    }
}
