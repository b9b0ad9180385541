//! Serializes `OsString` and paths: as text if it is UTF-8, as a list of bytes otherwise.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SerializedString {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&OsString> for SerializedString {
    fn from(string: &OsString) -> SerializedString {
        match string.to_str() {
            Some(text) => SerializedString::Text(text.into()),
            None => SerializedString::Bytes(string.clone().into_vec()),
        }
    }
}

impl From<SerializedString> for OsString {
    fn from(wire: SerializedString) -> OsString {
        match wire {
            SerializedString::Text(text) => text.into(),
            SerializedString::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

pub(crate) mod list {
    use super::{Deserialize, Deserializer, OsString, Serialize, SerializedString, Serializer};

    pub(crate) fn serialize<S: Serializer>(strings: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        strings.iter().map(SerializedString::from).collect::<Vec<_>>().serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OsString>, D::Error> {
        Ok(Vec::<SerializedString>::deserialize(from)?.into_iter().map(OsString::from).collect())
    }
}

pub(crate) mod pairs {
    use super::{Deserialize, Deserializer, OsString, Serialize, SerializedString, Serializer};

    pub(crate) fn serialize<S: Serializer>(pairs: &[(OsString, OsString)], to: S) -> Result<S::Ok, S::Error> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(name, value)| (SerializedString::from(name), SerializedString::from(value)))
            .collect();
        pairs.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(OsString, OsString)>, D::Error> {
        let pairs = Vec::<(SerializedString, SerializedString)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

pub(crate) mod path {
    use std::path::{Path, PathBuf};

    use super::{Deserialize, Deserializer, OsString, Serialize, SerializedString, Serializer};

    pub(crate) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        SerializedString::from(&path.as_os_str().to_owned()).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from(SerializedString::deserialize(from)?).into())
    }
}
