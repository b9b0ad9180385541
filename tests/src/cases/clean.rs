//! What is left of a loopbox that was asked to end, or was killed: nothing, after the next one has run.

use super::Case;

mod build;
mod compare;
mod full;
mod moments;
mod mount;
mod run;
mod store;
mod traces;

/// All of them.
pub fn cases() -> Vec<Case> {
    [run::CASES, mount::CASES, build::CASES, compare::CASES, full::CASES].concat()
}
