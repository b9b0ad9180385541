//! A jail on macOS.

#[cfg(not(target_os = "linux"))]
mod inside;
mod ipc;
#[cfg(not(target_os = "linux"))]
mod mounts;
#[cfg(not(target_os = "linux"))]
pub(super) mod supervisor;
#[cfg(not(target_os = "linux"))]
pub(crate) mod sys;
#[cfg(not(target_os = "linux"))]
pub(super) mod users;
