//! Who is at the other side of a Unix socket, as far as the crate `nix` does not say.

mod sys;

pub use sys::{groups, process};
