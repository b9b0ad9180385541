//! Serializes `OsString`: as text if it is UTF-8, as a list of bytes otherwise.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<&OsString> for Wire {
    fn from(string: &OsString) -> Wire {
        match string.to_str() {
            Some(text) => Wire::Text(text.into()),
            None => Wire::Bytes(string.clone().into_vec()),
        }
    }
}

impl From<Wire> for OsString {
    fn from(wire: Wire) -> OsString {
        match wire {
            Wire::Text(text) => text.into(),
            Wire::Bytes(bytes) => OsString::from_vec(bytes),
        }
    }
}

pub(super) mod list {
    use super::{Deserialize, Deserializer, OsString, Serialize, Serializer, Wire};

    pub(in crate::jail) fn serialize<S: Serializer>(strings: &[OsString], to: S) -> Result<S::Ok, S::Error> {
        strings.iter().map(Wire::from).collect::<Vec<_>>().serialize(to)
    }

    pub(in crate::jail) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<OsString>, D::Error> {
        Ok(Vec::<Wire>::deserialize(from)?.into_iter().map(OsString::from).collect())
    }
}

pub(super) mod pairs {
    use super::{Deserialize, Deserializer, OsString, Serialize, Serializer, Wire};

    pub(in crate::jail) fn serialize<S: Serializer>(
        pairs: &[(OsString, OsString)],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (Wire::from(name), Wire::from(value))).collect();
        pairs.serialize(to)
    }

    pub(in crate::jail) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<(OsString, OsString)>, D::Error> {
        let pairs = Vec::<(Wire, Wire)>::deserialize(from)?;
        Ok(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

pub(super) mod path {
    use std::path::{Path, PathBuf};

    use super::{Deserialize, Deserializer, OsString, Serialize, Serializer, Wire};

    pub(in crate::jail) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        Wire::from(&path.as_os_str().to_owned()).serialize(to)
    }

    pub(in crate::jail) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(OsString::from(Wire::deserialize(from)?).into())
    }
}
