//! Kills all processes of a build user.

use std::io;

use super::{ipc, sys};
use crate::child::{ExitOutcome, reap};

/// Sends SIGKILL to every process of the user, and removes what they leave in System V memory.
pub(in crate::jail) fn kill_all_of(uid: u32) -> io::Result<()> {
    // It ends with the number of its error.
    match reap(sys::fork_killer(uid)?)? {
        // The latter is another process that did the same to this user.
        ExitOutcome::Exited(0 | libc::ESRCH) | ExitOutcome::Signaled(_) => {}
        ExitOutcome::Exited(number) => return Err(io::Error::from_raw_os_error(number)),
    }
    ipc::remove_all_of(uid);
    Ok(())
}
