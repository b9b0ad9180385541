//! Messages between loopbox, the supervisor and the jail's first process: JSON with a length prefix.

use std::io::{self, Read, Write};
#[cfg(target_os = "linux")]
use std::os::fd::{BorrowedFd, OwnedFd};
#[cfg(target_os = "linux")]
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::JailError;
use crate::MountError;
use crate::child::ExitOutcome;

/// The longest message, in bytes: a specification carries arguments and environment, for which Linux has a limit of
/// a quarter of the stack, 6 MiB at most; JSON needs up to six bytes for one.
const MESSAGE_MAX: u64 = 64 << 20;

/// As much of a message is read at once, in bytes; more of it is not believed before it comes.
const BUFFER: u64 = 64 << 10;

/// The byte that asks the supervisor to kill what is inside. The end of the stream asks for the same, and says that
/// the server is gone too.
pub(super) const KILL: u8 = b'K';

/// The byte that asks for the same, and says that the server is gone.
pub(super) const SERVER_GONE: u8 = b'G';

/// From the supervisor to loopbox.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program runs; its pid on the host.
    Started { pid: i32 },
    /// The program did not start.
    Failed(JailError),
    /// It has stopped, by a signal that stops and does not end (SIGTSTP, say).
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "sent by process 1 of a namespace"))]
    Stopped,
    /// It ended, and the view is unmounted as well as it could be.
    Ended { outcome: ExitOutcome, unmounted: Result<(), MountError>, unmounting: Duration },
    /// It ended, and waiting for it failed.
    Lost(JailError),
}

/// From the first process inside to the supervisor, before it executes the program; the end of the stream says that it has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum SetupReport {
    /// It is in its user namespace and waits for the users; the answer is one byte.
    #[cfg(target_os = "linux")]
    WantsIds,
    /// A step failed.
    Failed(JailError),
}

/// From a process 1 of loopbox's own ([`JailSpec::own_init`](super::JailSpec)) to the supervisor, of the program.
#[cfg(target_os = "linux")]
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum InitReport {
    /// It has stopped.
    Stopped,
    /// It has ended.
    Ended(ExitOutcome),
}

/// The most descriptors that are sent at once.
#[cfg(target_os = "linux")]
pub const DESCRIPTORS_MAX: usize = crate::sys::DESCRIPTORS_MAX;

/// Sends descriptors (`SCM_RIGHTS`, unix(7)), with a number.
///
/// # Errors
/// Those of sendmsg(2).
#[cfg(target_os = "linux")]
pub fn send_descriptors(to: &UnixStream, number: i32, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    crate::sys::send_descriptors(to, number, descriptors)
}

/// Receives what was sent so; none at the end of the stream.
///
/// # Errors
/// Those of recvmsg(2).
#[cfg(target_os = "linux")]
pub fn receive_descriptors(
    from: &UnixStream,
) -> io::Result<Option<(i32, [Option<OwnedFd>; DESCRIPTORS_MAX])>> {
    crate::sys::receive_descriptors(from)
}

/// Sends a message.
///
/// # Errors
/// Those of write(2); [`io::ErrorKind::InvalidData`] for what JSON cannot say.
pub fn send<T: Serialize>(mut to: impl Write, message: &T) -> io::Result<()> {
    // At once, as other threads may send as well.
    let mut all = vec![0; size_of::<u64>()];
    serde_json::to_writer(&mut all, message)?;
    let length = (all.len() - size_of::<u64>()) as u64;
    all[..size_of::<u64>()].copy_from_slice(&length.to_le_bytes());
    to.write_all(&all)
}

/// Receives a message; none at the end of the stream.
///
/// # Errors
/// Those of read(2); [`io::ErrorKind::InvalidData`] for what is no such message.
pub fn receive<T: DeserializeOwned>(from: impl Read) -> io::Result<Option<T>> {
    receive_at_most(from, MESSAGE_MAX)
}

/// The same, of no more than so many bytes.
///
/// # Errors
/// As of [`receive`].
pub fn receive_at_most<T: DeserializeOwned>(mut from: impl Read, max: u64) -> io::Result<Option<T>> {
    let mut length = [0; 8];
    match from.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        // A peer that died with something unread of ours.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u64::from_le_bytes(length);
    if length > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
    }
    let mut text = Vec::with_capacity(length.min(BUFFER) as usize);
    from.take(length).read_to_end(&mut text)?;
    if text.len() as u64 != length {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&text)?))
}
