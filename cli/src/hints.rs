//! What to do about an error: the one table from kinds of errors to hints and exit codes.

use std::error::Error;

use crate::failure::{USAGE, Usage};

/// The hints for one error, its causes not included.
pub fn of(error: &(dyn Error + 'static)) -> Vec<String> {
    if let Some(usage) = error.downcast_ref::<Usage>() {
        return usage.hints.clone();
    }
    Vec::new()
}

/// The exit code that one error stands for, if it is not loopbox's general one.
pub fn exit_code(error: &(dyn Error + 'static)) -> Option<u8> {
    error.is::<Usage>().then_some(USAGE)
}
