//! Plan a build, make its view, run it, take its outputs.

pub mod access;
pub mod backend;
pub mod build;
pub mod cancel;
pub mod causes;
#[cfg(target_os = "linux")]
pub mod compare;
pub mod derivation;
#[cfg(target_os = "macos")]
pub mod entering;
#[cfg(target_os = "linux")]
pub mod external;
pub mod failure;
pub mod graph;
mod hooks;
mod in_place;
mod log;
pub mod nix32;
pub mod output;
pub mod plan;
pub mod program;
mod run;
mod scratch;
pub mod shell;
pub mod status;
pub mod store;
pub mod store_path;
pub mod sweep;
#[cfg(target_os = "linux")]
pub mod through_nix;
mod visible;
mod waiting;
pub mod watch;
