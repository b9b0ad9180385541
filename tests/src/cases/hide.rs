//! What a build is not shown: whatever of the machine and its store nobody declared.

use super::Case;

mod decoy;
mod impure;
mod log;
mod paths;
pub mod store;

/// All of them.
pub fn cases() -> Vec<Case> {
    [decoy::CASES, paths::CASES, impure::CASES, log::CASES].concat()
}
