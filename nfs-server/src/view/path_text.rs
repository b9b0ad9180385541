//! Serializes paths: as text if they are UTF-8, as a list of bytes otherwise. For serde's `with`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Serializes a path.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => text.serialize(to),
        None => path.as_os_str().as_bytes().serialize(to),
    }
}

/// Deserializes a path.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
    DeserializedPath::deserialize(from).map(PathBuf::from)
}

/// Paths in a collection.
pub mod all {
    use super::{Deserialize, DeserializedPath, Deserializer, Path, PathBuf, Serialize, Serializer};

    /// Serializes the paths.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<'a, C, S: Serializer>(paths: &'a C, to: S) -> Result<S::Ok, S::Error>
    where
        &'a C: IntoIterator<Item = &'a PathBuf>,
    {
        to.collect_seq(paths.into_iter().map(|path| SerializedPath(path)))
    }

    /// Deserializes them.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, C: FromIterator<PathBuf>, D: Deserializer<'de>>(from: D) -> Result<C, D::Error> {
        Ok(Vec::<DeserializedPath>::deserialize(from)?.into_iter().map(PathBuf::from).collect())
    }

    struct SerializedPath<'a>(&'a Path);

    impl Serialize for SerializedPath<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            super::serialize(self.0, to)
        }
    }
}

/// A path that may not be there.
pub mod optional {
    use super::{Deserialize, DeserializedPath, Deserializer, PathBuf, Serialize, Serializer};

    /// Serializes it.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(path: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        match path {
            Some(path) => super::serialize(path, to),
            None => None::<()>.serialize(to),
        }
    }

    /// Deserializes it.
    ///
    /// # Errors
    /// Those of the deserializer.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(Option::<DeserializedPath>::deserialize(from)?.map(PathBuf::from))
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a path, as text or as a list of bytes")]
enum DeserializedPath {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<DeserializedPath> for PathBuf {
    fn from(read: DeserializedPath) -> PathBuf {
        match read {
            DeserializedPath::Text(text) => text.into(),
            DeserializedPath::Bytes(bytes) => OsString::from_vec(bytes).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Entry;
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Paths {
        one: Entry,
        #[serde(with = "all")]
        list: Vec<PathBuf>,
        #[serde(with = "optional")]
        some: Option<PathBuf>,
        #[serde(with = "optional")]
        none: Option<PathBuf>,
    }

    #[test]
    fn every_path_comes_back() {
        for bytes in [&b"/plain"[..], b"/not \xff UTF-8"] {
            let path = PathBuf::from(OsString::from_vec(bytes.into()));
            let one = Entry::Symlink { at: "/link".into(), target: path.clone() };
            let both = Paths { one, list: vec![path.clone()], some: Some(path), none: None };
            let text = serde_json::to_string(&both).unwrap();
            assert_eq!(serde_json::from_str::<Paths>(&text).unwrap(), both, "{text}");
        }
    }
}
