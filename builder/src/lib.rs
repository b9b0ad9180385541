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
pub mod failure;
#[cfg(target_os = "linux")]
pub mod graph;
#[cfg(target_os = "linux")]
mod hooks;
#[cfg(target_os = "linux")]
mod log;
pub mod nix32;
pub mod output;
pub mod plan;
pub mod program;
#[cfg(target_os = "linux")]
mod run;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "made by builds only"))]
mod scratch;
#[cfg(target_os = "linux")]
pub mod shell;
#[cfg(target_os = "linux")]
pub mod status;
pub mod store;
pub mod store_path;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "made by builds only"))]
pub mod sweep;
#[cfg(target_os = "linux")]
mod visible;
#[cfg(target_os = "linux")]
pub mod watch;
