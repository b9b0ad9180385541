//! A terminal of the program's own, where loopbox was started on one.
//!
//! Two processes of loopbox take part then. The *front* is the one that was started: the person's shell knows it, and
//! may stop it (Ctrl-Z) and go on with it. It carries what is typed and what is shown between the terminal that it was
//! started on and a new one. The *worker* is its child, and does the rest as always, on the new terminal: it serves the
//! view, so it never stops.

mod carry;
mod front;
mod streams;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use nix::unistd::Uid;
use sandbox::SessionTerminal;
use signal_hook::consts::SIGHUP;

use crate::signals::Interrupt;

pub use front::run as front;

/// The hidden word that a worker is started with.
pub const WORD: &str = "__on-terminal";

/// From the worker: its program runs, and is to get every key that is typed.
const BEGUN: u8 = b'B';
/// From the worker: its program has stopped.
const STOPPED: u8 = b'S';

/// No terminal could be had for the program.
#[derive(Debug, thiserror::Error)]
#[error("cannot open a terminal for the program")]
pub struct TerminalError(#[from] pub io::Error);

/// The worker's side: its standard input is a terminal for its program alone.
#[derive(Clone, Debug)]
pub struct WorkerTerminal {
    front: Arc<UnixStream>,
}

/// Takes what a front has put before the words of the command line.
pub fn take_word(words: &mut Vec<OsString>) -> Option<WorkerTerminal> {
    if words.get(1).is_none_or(|word| word != WORD) {
        return None;
    }
    let number = words.drain(1..words.len().min(3)).nth(1)?.to_str()?.parse().ok()?;
    let front = sandbox::inherited(number).ok()?;
    Some(WorkerTerminal { front: Arc::new(front.into()) })
}

impl WorkerTerminal {
    /// Has loopbox asked to stop when its front is gone.
    ///
    /// # Errors
    /// When nobody can watch it.
    pub fn watch(&self, interrupt: &Interrupt) -> Result<(), TerminalError> {
        let (front, interrupt) = (Arc::clone(&self.front), interrupt.clone());
        thread::Builder::new().name("front".into()).spawn(move || {
            // It never says anything: this is the end of the stream.
            while matches!((&*front).read(&mut [0]), Ok(1..)) {}
            interrupt.stop(SIGHUP);
        })?;
        Ok(())
    }

    fn tell(&self, word: u8) {
        // A front that has gone is noticed by whoever reads.
        let _ = (&*self.front).write_all(&[word]);
    }
}

impl SessionTerminal for WorkerTerminal {
    fn begin(&self, uid: u32) -> io::Result<()> {
        nix::unistd::fchown(io::stdin(), Some(Uid::from_raw(uid)), None)?;
        self.tell(BEGUN);
        Ok(())
    }

    fn stopped(&self) {
        self.tell(STOPPED);
    }
}

/// The path of a worker's terminal.
pub fn name(worker: Option<&WorkerTerminal>) -> Option<PathBuf> {
    worker.and_then(|_| nix::unistd::ttyname(io::stdin()).ok())
}

/// The inner end of a new terminal, and the outer one.
fn open_terminal() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::fs::{Mode, OFlags};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let outer = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::io::fcntl_setfd(&outer, rustix::io::FdFlags::CLOEXEC)?;
    grantpt(&outer)?;
    unlockpt(&outer)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let inner = rustix::fs::open(ptsname(&outer, Vec::new())?, flags, Mode::empty())?;
    Ok((inner, outer))
}

/// Gives one terminal the size of another.
fn fit(terminal: impl AsFd, like: impl AsFd) {
    // A terminal without a size is one all the same.
    let size = rustix::termios::tcgetwinsize(like);
    let _ = size.and_then(|size| rustix::termios::tcsetwinsize(terminal, size));
}
