//! Copies bytes between descriptors until one side ends or the jail does.

use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, PipeWriter, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

/// Buffer size in bytes: the capacity of a pipe.
const CHUNK: usize = 64 << 10;

/// How much is carried after the end, in bytes: the largest pipe (`/proc/sys/fs/pipe-max-size`). Who has got hold of the
/// other end could write for ever.
const REST: usize = 1 << 20;

/// How much is read ahead of the program at once, in bytes: a pipe that can be written at all takes as much
/// (`PIPE_BUF`, pipe(7)).
const AHEAD: usize = 4 << 10;

/// What the program writes, to where the caller wants it. After the end, what is there already is carried still.
pub(super) fn write(mut from: File, mut to: File, over: &PipeReader) -> io::Result<()> {
    block_background_signals();
    let mut buffer = vec![0; CHUNK];
    let mut rest = REST;
    while rest > 0 && wait(from.as_fd(), PollFlags::POLLIN, over)? == Ready::Other {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            // A terminal that nobody has open any more reads as an error.
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        match write_all(&mut to, &buffer[..count], over) {
            // The program hears it too.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => break,
            result => result?,
        }
        if is_over(over, PollTimeout::ZERO)? {
            rest = rest.saturating_sub(count);
        }
    }
    Ok(())
}

/// What the caller has, to where the program reads it. What was read ahead in vain is given back to a file: the next
/// that reads it goes on where the program has stopped.
pub(super) fn read(
    mut from: File,
    mut to: PipeWriter,
    over: &PipeReader,
    unread: Option<PipeReader>,
) -> io::Result<()> {
    let mut buffer = vec![0; AHEAD];
    let mut pending = 0;
    while wait(to.as_fd(), PollFlags::POLLOUT, over)? == Ready::Other
        && wait(from.as_fd(), PollFlags::POLLIN, over)? == Ready::Other
    {
        let count = match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Ok(0) => break,
            result => result?,
        };
        if to.write_all(&buffer[..count]).is_err() {
            pending = count as u64;
            break;
        }
    }
    drop(to);
    let Some(unread) = unread else { return Ok(()) };
    // Whoever still reads it, has an end.
    while !is_over(over, PollTimeout::NONE)? {}
    let left = rustix::io::ioctl_fionread(&unread)? + pending;
    let back = i64::try_from(left).map_err(io::Error::other)?;
    // What cannot be gone back in, is no file that somebody would read on.
    let _ = from.seek(SeekFrom::Current(-back));
    Ok(())
}

/// What is typed on a terminal, line by line as that gives them. Its end is typed too.
pub(super) fn type_in(mut from: File, mut to: File, over: &PipeReader, end: Option<u8>) -> io::Result<()> {
    block_background_signals();
    let mut buffer = vec![0; AHEAD];
    while wait(from.as_fd(), PollFlags::POLLIN, over)? == Ready::Other {
        match from.read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(count @ 1..) => write_all(&mut to, &buffer[..count], over)?,
            Ok(0) | Err(_) => {
                if let Some(end) = end {
                    to.write_all(&[end])?;
                }
                break;
            }
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ready {
    Other,
    Over,
}

/// Waits for a descriptor, or for the end of the jail.
fn wait(other: BorrowedFd<'_>, events: PollFlags, over: &PipeReader) -> io::Result<Ready> {
    let mut both = [PollFd::new(other, events), PollFd::new(over.as_fd(), PollFlags::POLLIN)];
    loop {
        match poll(&mut both, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(_) if both[0].any().unwrap_or(true) => return Ok(Ready::Other),
            Ok(_) => return Ok(Ready::Over),
        }
    }
}

/// Waits for the end of the jail.
fn is_over(over: &PipeReader, timeout: PollTimeout) -> io::Result<bool> {
    match poll(&mut [PollFd::new(over.as_fd(), PollFlags::POLLIN)], timeout) {
        Err(Errno::EINTR) => Ok(false),
        Err(errno) => Err(errno.into()),
        Ok(ready) => Ok(ready > 0),
    }
}

/// The caller may have made its own end one that does not wait.
fn write_all(to: &mut File, mut bytes: &[u8], over: &PipeReader) -> io::Result<()> {
    while !bytes.is_empty() {
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if wait(to.as_fd(), PollFlags::POLLOUT, over)? == Ready::Over {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Who uses a terminal from the background is stopped, all of its process, unless this thread does not hear of it: then
/// reading fails, and writing does not (tty_ioctl(4)).
fn block_background_signals() {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTTIN);
    signals.add(Signal::SIGTTOU);
    // It cannot fail with signals that exist.
    let _ = signals.thread_block();
}
