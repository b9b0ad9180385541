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

/// Puts this process under a profile, for good.
///
/// # Errors
/// What the system says.
#[cfg(not(target_os = "linux"))]
pub fn enter_profile(text: &str) -> Result<(), String> {
    sys::load_sandbox().map_err(|error| error.to_string())?;
    sys::enter_sandbox(text)
}
