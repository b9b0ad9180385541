//! Reading a derivation's file, which may lie outside of any store.

use std::path::Path;

use super::StoreError;
use crate::derivation::{Derivation, MAX_SIZE, ParseError, parse};

/// Reads a derivation's file from anywhere.
///
/// # Errors
/// When there is none, or it is malformed.
pub fn read_derivation(path: &Path) -> Result<Derivation<'static>, StoreError> {
    let unreadable = |source| StoreError::ReadDerivation { path: path.into(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    let malformed = |source| StoreError::ParseDerivation { path: path.into(), source };
    // Asked before reading, so that a huge file is refused without being in memory.
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    if size > MAX_SIZE {
        return Err(malformed(ParseError::TooLarge { size }));
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    Ok(parse(&text).map_err(malformed)?.into_owned())
}
