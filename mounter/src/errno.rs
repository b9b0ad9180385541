//! Serializes an `io::Error` for another process: as its errno, or as text if it has none. For serde's `with`.

use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Wire {
    Number(i32),
    Text(String),
}

/// Serializes it.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(error: &io::Error, serializer: S) -> Result<S::Ok, S::Error> {
    let wire = error.raw_os_error().map_or_else(|| Wire::Text(error.to_string()), Wire::Number);
    wire.serialize(serializer)
}

/// Deserializes it.
///
/// # Errors
/// Those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<io::Error, D::Error> {
    Ok(match Wire::deserialize(deserializer)? {
        Wire::Number(number) => io::Error::from_raw_os_error(number),
        Wire::Text(text) => io::Error::other(text),
    })
}
