//! The front: starts a worker on a terminal of its own, and carries until it ends.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use defences::Defence;
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

use super::carry::TerminalRelay;
use super::streams::Streams;
use super::{TerminalError, WORD, WorkerTerminal, fit, open_terminal};
use crate::exit::Status;
use crate::itself;

/// Runs loopbox again, with the same words, on a terminal of its own. The answer is how that ended: `None` for a `worker`,
/// which has one, and where there is no terminal to have one instead of.
///
/// # Errors
/// When there is no such terminal to be had.
pub fn run(worker: Option<&WorkerTerminal>) -> Result<Option<Status>, TerminalError> {
    if worker.is_some() || !Defence::Terminal.stands() {
        return Ok(None);
    }
    let Some(streams) = Streams::look() else { return Ok(None) };
    let (inner, outer) = open_terminal()?;
    tcsetattr(&inner, OptionalActions::Now, &tcgetattr(io::stdin()).map_err(io::Error::from)?)
        .map_err(io::Error::from)?;
    fit(&outer, io::stdin());
    let (ours, theirs) = UnixStream::pair()?;
    // The signals are watched before there is somebody to pass them on to.
    let relay = TerminalRelay::new(streams, outer, ours)?;
    let worker = start(streams, &inner, &theirs)?;
    drop((inner, theirs));
    Ok(Some(relay.carry(worker)?))
}

/// In a process group of its own: what the person's terminal sends is the front's to pass on.
fn start(streams: Streams, inner: &OwnedFd, control: &UnixStream) -> io::Result<Child> {
    let mut command = Command::new(itself::program()?);
    command.arg(WORD).arg(control.as_raw_fd().to_string()).args(std::env::args_os().skip(1)).process_group(0);
    let stream = |number: usize| -> io::Result<Stdio> {
        if streams.0[number] { Ok(inner.try_clone()?.into()) } else { Ok(Stdio::inherit()) }
    };
    command.stdin(stream(0)?).stdout(stream(1)?).stderr(stream(2)?);
    // This process has one thread, so that nobody else's child inherits it.
    rustix::io::fcntl_setfd(control, rustix::io::FdFlags::empty())?;
    command.spawn()
}
