//! Store paths: `<store directory>/<32 digits>-<name>`.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::nix32::ALPHABET;

/// Digits in the hash part of a store path (160 bits).
pub const HASH_PART: usize = 32;

/// The longest name after the hash part (Nix's `StorePath::MaxPathLen`).
pub const NAME_MAX: usize = 211;

/// The last part of a store path: `<32 digits>-<name>`. It is plain text, so it can be put in a command line or
/// a record without quoting, and never leaves the store directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorePath(String);

/// Why a text is not a store path.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorePathError {
    /// The path lies outside the store directory.
    #[error("{path:?} is not in the store directory {store:?}")]
    Outside {
        /// The path as given.
        path: String,
        /// The store directory.
        store: PathBuf,
    },
    /// The hash part is too short or has a foreign digit.
    #[error("{base:?} does not begin with {HASH_PART} digits of Nix's base 32 and '-'")]
    Hash {
        /// The last part of the path.
        base: String,
    },
    /// The name has a character that Nix does not allow, or is empty, too long, or `.` or `..`.
    #[error("{base:?} has no valid name after its hash")]
    Name {
        /// The last part of the path.
        base: String,
    },
}

impl StorePath {
    /// Reads the last part of a store path.
    ///
    /// # Errors
    /// When it is not `<32 digits>-<name>`.
    pub fn new(base: &str) -> Result<StorePath, StorePathError> {
        let bytes = base.as_bytes();
        let digits = bytes
            .get(..HASH_PART)
            .filter(|hash| hash.iter().all(|digit| ALPHABET.as_bytes().contains(digit)));
        if digits.is_none() || bytes.get(HASH_PART) != Some(&b'-') {
            return Err(StorePathError::Hash { base: base.into() });
        }
        let name = &base[HASH_PART + 1..];
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte);
        if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
            return Err(StorePathError::Name { base: base.into() });
        }
        Ok(StorePath(base.into()))
    }

    /// Reads a whole path, which has to be a direct child of the store directory.
    ///
    /// # Errors
    /// When it lies elsewhere or its last part is not a store path's.
    pub fn parse(path: &str, store: &Path) -> Result<StorePath, StorePathError> {
        let outside = || StorePathError::Outside { path: path.into(), store: store.into() };
        let base =
            path.strip_prefix(store.to_str().ok_or_else(outside)?).and_then(|rest| rest.strip_prefix('/'));
        let base = base.filter(|base| !base.contains('/')).ok_or_else(outside)?;
        StorePath::new(base)
    }

    /// The store path that a path lies in, when it lies in the store at all.
    ///
    /// # Errors
    /// When it lies elsewhere, is the store directory itself, or its part there is not a store path's.
    pub fn containing(path: &Path, store: &Path) -> Result<StorePath, StorePathError> {
        let outside = || StorePathError::Outside { path: path.display().to_string(), store: store.into() };
        let first = path.strip_prefix(store).ok().and_then(|rest| rest.iter().next()).ok_or_else(outside)?;
        StorePath::new(first.to_str().ok_or_else(outside)?)
    }

    /// The last part of the path.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.0
    }

    /// The 32 digits.
    #[must_use]
    pub fn hash_part(&self) -> &str {
        &self.0[..HASH_PART]
    }

    /// What follows the digits.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0[HASH_PART + 1..]
    }

    /// The name, of a derivation without the ending that all derivations have.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.name().strip_suffix(".drv").unwrap_or(self.name())
    }

    /// Whether it is a derivation's file.
    #[must_use]
    pub fn is_derivation(&self) -> bool {
        self.0.ends_with(".drv")
    }

    /// The whole path.
    #[must_use]
    pub fn within(&self, store: &Path) -> PathBuf {
        store.join(&self.0)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for StorePath {
    type Error = StorePathError;

    fn try_from(base: String) -> Result<StorePath, StorePathError> {
        StorePath::new(&base)
    }
}

impl From<StorePath> for String {
    fn from(path: StorePath) -> String {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "71fc7s32zl20dc955bhghy5dvalm7ndz-busybox";

    #[test]
    fn a_store_path_has_a_hash_part_and_a_name() {
        let path =
            StorePath::parse("/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox", Path::new("/nix/store"));
        let path = path.unwrap();
        assert_eq!((path.hash_part(), path.name()), ("71fc7s32zl20dc955bhghy5dvalm7ndz", "busybox"));
        assert_eq!(path.within(Path::new("/nix/store")), Path::new("/nix/store").join(BASE));
    }

    #[test]
    fn what_lies_below_a_store_path_belongs_to_it() {
        let inside = Path::new("/nix/store").join(BASE).join("bin/busybox");
        assert_eq!(StorePath::containing(&inside, Path::new("/nix/store")).unwrap().base(), BASE);
        assert!(StorePath::containing(Path::new("/nix/store"), Path::new("/nix/store")).is_err());
        assert!(StorePath::containing(Path::new("/usr/lib"), Path::new("/nix/store")).is_err());
    }

    #[test]
    fn what_could_leave_the_store_is_refused() {
        let store = Path::new("/nix/store");
        for path in [
            "/nix/store/../etc",
            "/etc/passwd",
            "/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-a/b",
            "/nix/store",
        ] {
            assert!(StorePath::parse(path, store).is_err(), "{path}");
        }
        assert!(StorePath::new("71fc7s32zl20dc955bhghy5dvalm7ndz-").is_err());
        assert!(StorePath::new("é1fc7s32zl20dc955bhghy5dvalm7ndz-a").is_err());
    }
}
