//! What the view keeps from a hostile program: the host's files stay as they are, and out of reach.

use super::Case;

mod build;
mod graft;
pub(in crate::cases) mod host;
pub(in crate::cases) mod itself;
pub(in crate::cases) mod outside;
mod port;
mod programs;
mod race;
pub mod take_over;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        graft::CASES,
        programs::CASES,
        outside::CASES,
        port::CASES,
        take_over::CASES,
        build::CASES,
        itself::CASES,
        race::CASES,
    ]
    .concat()
}
