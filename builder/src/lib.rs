//! Plan a build, make its view, run it, take its outputs.

pub mod access;
#[cfg(target_os = "linux")]
pub mod backend;
#[cfg(target_os = "linux")]
pub mod build;
pub mod cancel;
pub mod derivation;
#[cfg(target_os = "linux")]
pub mod external;
#[cfg(target_os = "linux")]
pub mod graph;
#[cfg(target_os = "linux")]
mod log;
pub mod nix32;
pub mod output;
pub mod plan;
pub mod program;
#[cfg(target_os = "linux")]
mod run;
mod scratch;
pub mod store;
pub mod store_path;
pub mod sweep;
#[cfg(target_os = "linux")]
mod visible;
pub mod watch;
