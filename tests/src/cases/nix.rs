//! Every-day uses of Nix: stores that are set up in other ways than the tests' usual one.

use super::Case;

mod build_hook;
mod checked;
pub mod daemon;
mod elsewhere;
mod examples;
mod failing;
mod impure;
mod locked;
pub mod machines;
mod read_only;
mod registered;
mod remote;
pub mod store;
mod substitutes;
mod targets;
mod unused;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        read_only::CASES,
        build_hook::CASES,
        elsewhere::CASES,
        examples::CASES,
        substitutes::CASES,
        remote::CASES,
        registered::CASES,
        impure::CASES,
        locked::CASES,
        failing::CASES,
        checked::CASES,
        unused::CASES,
        targets::CASES,
        machines::CASES,
        &daemon::cases(),
    ]
    .concat()
}
