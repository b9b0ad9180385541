//! The commands that a supervisor gets from loopbox while it waits for something else.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::JailError;
use super::control::SERVER_GONE;

/// Reads loopbox's commands from the control socket: to kill what is inside, because somebody asks for it or because the
/// server is gone.
pub(super) struct Commands<'a> {
    control: &'a UnixStream,
    /// loopbox has closed its end, or died.
    closed: bool,
    /// The server is gone.
    pub server_gone: bool,
}

/// Which of the descriptors that were polled have an event.
pub(super) struct PollEvents {
    /// A command came: what is inside is to be killed.
    pub kill: bool,
    /// The descriptor that was given can be read.
    pub other: bool,
    /// The second descriptor can be read.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only a process 1 of Linux waits for two")
    )]
    pub second: bool,
}

impl Commands<'_> {
    pub fn new(control: &UnixStream) -> Commands<'_> {
        Commands { control, closed: false, server_gone: false }
    }

    /// Waits until there is a command, the other descriptor can be read, or the timeout has passed. The command is read.
    pub fn wait_for(&mut self, other: BorrowedFd<'_>, timeout: PollTimeout) -> Result<PollEvents, JailError> {
        self.wait_for_either(other, None, timeout)
    }

    /// The same with two other descriptors.
    pub fn wait_for_either(
        &mut self,
        other: BorrowedFd<'_>,
        second: Option<BorrowedFd<'_>>,
        timeout: PollTimeout,
    ) -> Result<PollEvents, JailError> {
        let unread = |fd| PollFd::new(fd, PollFlags::POLLIN);
        // At its end it would be readable for ever.
        let control = (!self.closed).then(|| self.control.as_fd());
        let mut waiting = vec![unread(other)];
        waiting.extend(control.map(unread));
        waiting.extend(second.map(unread));
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(JailError::Wait { source: errno.into() }),
        }
        let happened = |at: usize| waiting.get(at).and_then(PollFd::any).unwrap_or(false);
        let events = PollEvents {
            kill: control.is_some() && happened(1),
            other: happened(0),
            second: second.is_some() && happened(1 + usize::from(control.is_some())),
        };
        if events.kill {
            match next(self.control) {
                Some(command) => self.server_gone |= command == SERVER_GONE,
                None => (self.closed, self.server_gone) = (true, true),
            }
        }
        Ok(events)
    }
}

/// The next command; none at the end of the stream.
pub(super) fn next(mut control: &UnixStream) -> Option<u8> {
    let mut command = [0];
    matches!(control.read(&mut command), Ok(1..)).then(|| command[0])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_command_is_a_byte_and_the_end_of_the_stream_is_the_last_one() {
        let (mut loopbox, ours) = UnixStream::pair().unwrap();
        let (mut program, other) = UnixStream::pair().unwrap();
        let mut commands = Commands::new(&ours);
        let mut wait = |happened: &str| {
            let events = commands.wait_for(other.as_fd(), PollTimeout::ZERO).unwrap();
            assert_eq!(
                (events.kill, events.other, commands.server_gone),
                match happened {
                    "nothing" => (false, false, false),
                    "a command" => (true, false, false),
                    "the server's end" => (true, false, true),
                    "the end" => (true, false, true),
                    _ => (false, true, true),
                }
            );
        };
        wait("nothing");
        loopbox.write_all(b"K").unwrap();
        wait("a command");
        wait("nothing");
        loopbox.write_all(&[SERVER_GONE]).unwrap();
        wait("the server's end");
        drop(loopbox);
        wait("the end");
        program.write_all(b"x").unwrap();
        wait("something else, and no command any more");
    }
}
