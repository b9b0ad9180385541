//! Builds for Nix's `build-hook`: Nix offers derivations to a program, which builds those that it accepts, and finds their
//! outputs registered when the program has ended. Versions of Nix that know no `external-builders` leave builds to others
//! in this way.
//!
//! One process of the program speaks with one Nix ([`Connection`]): it is told all settings, answers offers
//! ([`Offer::derivation`]) until it accepts one, waits for a slot ([`HookSlots`]) and builds. Nix has locked the outputs
//! meanwhile, keeps the log, and kills the process group to end a build.

mod connection;
mod offer;
mod slots;

pub use connection::{Connection, Level, ProtocolError};
pub use offer::{Declined, Offer};
pub use slots::{AcceptedSlot, HookSlots, RunningSlot, SlotsError};
