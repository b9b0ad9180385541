//! Plan a build, make its view, run it, take its outputs.

pub mod derivation;
pub mod nix32;
pub mod output;
pub mod plan;
mod scratch;
pub mod store;
pub mod store_path;
