//! What answers nothing for more than a minute, and then goes on: nothing is lost by it. Each case waits that long. And a wire that
//! breaks all the time.

use super::Case;

mod broken;
mod frozen;
mod stopped;
mod wire;

/// All of them.
pub fn cases() -> Vec<Case> {
    [stopped::CASES, frozen::CASES, broken::CASES].concat()
}
