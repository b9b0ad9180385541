//! What a supervisor hears from loopbox while it waits for something else.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::JailError;
use super::control::SERVER_GONE;

/// loopbox's orders: that what is inside has to go, because somebody says so or because the server is gone.
pub(super) struct Orders<'a> {
    control: &'a UnixStream,
    /// Nobody is there any more to give some.
    ended: bool,
    /// The server is gone.
    pub server_gone: bool,
}

/// Which of the things that were waited for has happened.
pub(super) struct Ready {
    /// What is inside has to go.
    pub kill: bool,
    /// Something else.
    pub other: bool,
    /// Yet something else.
    #[cfg_attr(
        not(target_os = "linux"),
        allow(dead_code, reason = "only a process 1 of Linux waits for two")
    )]
    pub second: bool,
}

impl Orders<'_> {
    pub fn new(control: &UnixStream) -> Orders<'_> {
        Orders { control, ended: false, server_gone: false }
    }

    /// Waits until there is an order, the other descriptor can be read from, or that took too long. The order is taken.
    pub fn wait_for(&mut self, other: BorrowedFd<'_>, timeout: PollTimeout) -> Result<Ready, JailError> {
        self.wait_for_either(other, None, timeout)
    }

    /// The same with two other descriptors.
    pub fn wait_for_either(
        &mut self,
        other: BorrowedFd<'_>,
        second: Option<BorrowedFd<'_>>,
        timeout: PollTimeout,
    ) -> Result<Ready, JailError> {
        let unread = |fd| PollFd::new(fd, PollFlags::POLLIN);
        // At its end it would be readable for ever.
        let control = (!self.ended).then(|| self.control.as_fd());
        let mut waiting = vec![unread(other)];
        waiting.extend(control.map(unread));
        waiting.extend(second.map(unread));
        match poll(&mut waiting, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(JailError::Wait { source: errno.into() }),
        }
        let happened = |at: usize| waiting.get(at).and_then(PollFd::any).unwrap_or(false);
        let ready = Ready {
            kill: control.is_some() && happened(1),
            other: happened(0),
            second: second.is_some() && happened(1 + usize::from(control.is_some())),
        };
        if ready.kill {
            match order(self.control) {
                Some(order) => self.server_gone |= order == SERVER_GONE,
                None => (self.ended, self.server_gone) = (true, true),
            }
        }
        Ok(ready)
    }
}

/// The next order; none at the end of the stream.
pub(super) fn order(mut control: &UnixStream) -> Option<u8> {
    let mut order = [0];
    matches!(control.read(&mut order), Ok(1..)).then(|| order[0])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn an_order_is_a_byte_and_the_end_of_the_stream_is_the_last_one() {
        let (mut loopbox, ours) = UnixStream::pair().unwrap();
        let (mut program, other) = UnixStream::pair().unwrap();
        let mut orders = Orders::new(&ours);
        let mut wait = |happened: &str| {
            let ready = orders.wait_for(other.as_fd(), PollTimeout::ZERO).unwrap();
            assert_eq!(
                (ready.kill, ready.other, orders.server_gone),
                match happened {
                    "nothing" => (false, false, false),
                    "an order" => (true, false, false),
                    "the server's end" => (true, false, true),
                    "the end" => (true, false, true),
                    _ => (false, true, true),
                }
            );
        };
        wait("nothing");
        loopbox.write_all(b"K").unwrap();
        wait("an order");
        wait("nothing");
        loopbox.write_all(&[SERVER_GONE]).unwrap();
        wait("the server's end");
        drop(loopbox);
        wait("the end");
        program.write_all(b"x").unwrap();
        wait("something else, and no order any more");
    }
}
