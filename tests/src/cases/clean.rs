//! What is left of a loopbox that was asked to end, or was killed: nothing, after the next one has run.

use super::Case;

pub mod build;
mod changes;
mod compare;
mod deep;
mod full;
mod handed;
mod kept;
mod moments;
mod mount;
mod run;
pub mod store;
pub mod traces;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        run::CASES,
        mount::CASES,
        build::CASES,
        compare::CASES,
        full::CASES,
        kept::CASES,
        deep::CASES,
        handed::CASES,
        changes::CASES,
        changes::power::CASES,
    ]
    .concat()
}
