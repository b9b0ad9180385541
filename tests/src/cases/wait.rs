//! What answers nothing for more than a minute, and then goes on: nothing is lost by it. Each case waits that long.

use super::Case;

mod frozen;
mod stopped;

/// All of them.
pub fn cases() -> Vec<Case> {
    [stopped::CASES, frozen::CASES].concat()
}
