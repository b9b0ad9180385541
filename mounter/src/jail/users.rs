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
        /// The I/O error.
        source: io::Error,
    },
}
