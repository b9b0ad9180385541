//! The end of all processes of a build user, wherever they are.

use std::io;

use nix::unistd::Pid;

use super::Outcome;
use super::handle::reap;
#[cfg(not(target_os = "linux"))]
use super::mac::sys;
#[cfg(target_os = "linux")]
use crate::sys;

/// Why the processes of a user could not be killed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// Root's processes are never killed.
    #[error("refusing to kill all processes of root")]
    Root,
    /// The user cannot be impersonated, or nothing can be signalled.
    #[error("cannot kill the processes of user {uid}")]
    Kill {
        /// The user.
        uid: u32,
        /// Why.
        source: io::Error,
    },
}

/// Sends SIGKILL to every process of the user `uid` on this machine, from a process that has become this user.
///
/// Once is enough: the kernel signals all of them while no process can be added to its list, and a fork that was
/// under way fails. On macOS, what they leave in System V memory is removed too.
///
/// # Errors
/// If it is root, or if the user cannot be impersonated.
pub fn kill_user(uid: u32) -> Result<(), KillError> {
    if uid == 0 {
        return Err(KillError::Root);
    }
    let killed = sys::fork_killer(uid).and_then(verdict);
    killed.map_err(|source| KillError::Kill { uid, source })?;
    #[cfg(not(target_os = "linux"))]
    super::mac::ipc::remove_all_of(uid);
    Ok(())
}

/// What came of it: the killer ends with the number of its error.
fn verdict(killer: Pid) -> io::Result<()> {
    match reap(killer)? {
        // The latter is another process that did the same to this user.
        Outcome::Exited(0 | libc::ESRCH) | Outcome::Signaled(_) => Ok(()),
        Outcome::Exited(number) => Err(io::Error::from_raw_os_error(number)),
    }
}
