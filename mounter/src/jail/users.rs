//! Kills all processes of a build user.

use std::io;

/// Why the processes of a user could not be killed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// Root's processes are never killed.
    #[error("refusing to kill all processes of root")]
    Root,
    /// setresuid(2) or kill(2) failed.
    #[error("cannot kill the processes of user {uid}")]
    Kill {
        /// The user.
        uid: u32,
        /// Why.
        source: io::Error,
    },
}

/// Sends SIGKILL to every process of the user, and removes what they leave in System V memory.
#[cfg(not(target_os = "linux"))]
pub(super) fn kill_all_of(uid: u32) -> io::Result<()> {
    use super::mac::{ipc, sys};
    use super::{Outcome, handle};

    // It ends with the number of its error.
    match handle::reap(sys::fork_killer(uid)?)? {
        // The latter is another process that did the same to this user.
        Outcome::Exited(0 | libc::ESRCH) | Outcome::Signaled(_) => {}
        Outcome::Exited(number) => return Err(io::Error::from_raw_os_error(number)),
    }
    ipc::remove_all_of(uid);
    Ok(())
}
