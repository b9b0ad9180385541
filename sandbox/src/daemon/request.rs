//! What is said on the daemon's socket. Each message of the asking side is JSON, followed by the descriptors that go with it.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mounter::MountOptions;
use mounter::jail::{ExitOutcome, JailError, JailSpec, User, control};
use nfs_server::view::{ViewSpec, ViewVariation, path_text};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::access::{Accesses, Recording};
use crate::conditions::{ConditionReport, Conditions};
use crate::server::Failure;
use crate::session::PhaseSeconds;

/// The longest message that the daemon takes, in bytes: a view of some thousand store paths has half a million, and the
/// kernel takes six million of arguments and environment.
pub(super) const MESSAGE_MAX: u64 = 16 << 20;

/// How long a message may take. Whoever sends it has it complete.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked for first: a view, by somebody whose root directory is the first descriptor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenRequest {
    pub view: ViewSpec,
    /// Whom it is for: whoever asks.
    pub user: User,
    pub options: MountOptions,
    pub recording: Recording,
    pub variation: ViewVariation,
    /// Scratches that are to be the machine's own.
    #[serde(default, with = "path_text::all")]
    pub local: Vec<PathBuf>,
    pub conditions: Conditions,
    /// Names that are removed if whoever asks dies, as he himself would do it: each in the directory that is a further
    /// descriptor. Looked up from his root, they might not be found any more: his mounts may end with him.
    pub leftovers: Vec<String>,
}

/// What is asked for then: a program in it, with three descriptors as its standard streams.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRequest {
    pub jail: JailSpec,
    pub worthless_on_failure: bool,
}

/// The byte that ends the program alone. The end of the stream ends the session.
pub(super) const STOP: u8 = b'S';

/// What the daemon's side says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Whoever asks may not have that.
    Refused(String),
    /// The view is served.
    Opened { port: Option<u16> },
    /// The view cannot be opened.
    View(Failure),
    /// The program did not start, or its end is unknown.
    Jail(JailError),
    /// The program ended well, but some of what it wrote was refused, and it was not told.
    NotStored(ConditionReport),
    /// Something else failed: what, and each cause.
    Failed(Vec<String>),
    /// The program has stopped, as by Ctrl-Z.
    Stopped,
    /// Nothing is left of the session.
    Ended {
        outcome: ExitOutcome,
        seconds: PhaseSeconds,
        calls: Vec<u64>,
        mounts: u64,
        accesses: Box<Accesses>,
        imposed: ConditionReport,
    },
}

/// Receives a message, which has to be there in time.
///
/// # Errors
/// It is too long, late ([`io::ErrorKind::TimedOut`]), or no such message.
pub(super) fn receive<T: DeserializeOwned>(from: &UnixStream) -> io::Result<Option<T>> {
    control::receive_at_most(Timed::of(from), MESSAGE_MAX)
}

/// Receives the descriptors that follow a message.
///
/// # Errors
/// They are late, or the connection has ended.
pub(super) fn receive_descriptors(from: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    Timed::of(from).wait_for(PollFlags::POLLIN)?;
    let (_, received) = control::receive_descriptors(from)?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok(received.into_iter().flatten().collect())
}

/// Sends a reply, which has to be taken in time.
///
/// # Errors
/// It was not ([`io::ErrorKind::TimedOut`]); those of sendto(2).
pub(super) fn send(to: &UnixStream, reply: &Reply) -> io::Result<()> {
    control::send(Timed::of(to), reply)
}

/// A socket that is read from, or written to, until a time, however slow the other side is. Other threads may use it meanwhile,
/// so it stays blocking for them.
struct Timed<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

impl Timed<'_> {
    fn of(socket: &UnixStream) -> Timed<'_> {
        Timed { socket, until: Instant::now() + MESSAGE_TIMEOUT }
    }

    /// Waits until something is there to be read, or there is room to write.
    fn wait_for(&self, what: PollFlags) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.socket.as_fd(), what)], timeout) {
            Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
            // Who sends byte after byte has no more time than others.
            Ok(ready) if ready > 0 && !left.is_zero() => Ok(()),
            Ok(_) => {
                // A part of a message may have been sent, and nothing that makes sense can follow it.
                let _ = self.socket.shutdown(Shutdown::Both);
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }

    fn until_done<T>(&self, what: PollFlags, mut call: impl FnMut() -> nix::Result<T>) -> io::Result<T> {
        loop {
            match call() {
                Err(Errno::EAGAIN) => self.wait_for(what)?,
                Err(Errno::EINTR) => {}
                done => return Ok(done?),
            }
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let socket = self.socket.as_raw_fd();
        self.until_done(PollFlags::POLLIN, || recv(socket, into, MsgFlags::MSG_DONTWAIT))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (socket, flags) = (self.socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL);
        self.until_done(PollFlags::POLLOUT, || nix::sys::socket::send(socket, bytes, flags))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_message_that_comes_in_pieces_is_received() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut message = Vec::new();
        control::send(&mut message, &"text".repeat(1000)).unwrap();
        let sender = thread::spawn(move || {
            message.chunks(1500).for_each(|piece| other.write_all(piece).unwrap());
            other
        });
        assert_eq!(receive::<String>(&one).unwrap().unwrap(), "text".repeat(1000));
        drop(sender.join().unwrap());
        assert!(receive::<String>(&one).unwrap().is_none());
    }

    #[test]
    fn a_slow_sender_has_only_until_the_end_of_the_time() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut timed = Timed { socket: &one, until: Instant::now() };
        other.write_all(b"12").unwrap();
        // What is there can be read whenever that is.
        assert_eq!(timed.read(&mut [0]).unwrap(), 1);
        assert_eq!(timed.read(&mut [0]).unwrap(), 1);
        assert_eq!(timed.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn a_reply_that_nobody_takes_is_given_up() {
        let (one, _other) = UnixStream::pair().unwrap();
        let mut timed = Timed { socket: &one, until: Instant::now() };
        let full = io::copy(&mut io::repeat(0), &mut timed).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::TimedOut);
    }
}
