//! Serializes an `io::Error` for another process: as its errno, or as text if it has none. For serde's `with`.

use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum SerializedError {
    Number(i32),
    Text(String),
}

/// Serializes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(error: &io::Error, serializer: S) -> Result<S::Ok, S::Error> {
    let serialized = error
        .raw_os_error()
        .map_or_else(|| SerializedError::Text(error.to_string()), SerializedError::Number);
    serialized.serialize(serializer)
}

/// Deserializes it.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<io::Error, D::Error> {
    Ok(match SerializedError::deserialize(deserializer)? {
        SerializedError::Number(number) => io::Error::from_raw_os_error(number),
        SerializedError::Text(text) => io::Error::other(text),
    })
}
