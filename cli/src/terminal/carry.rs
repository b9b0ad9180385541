//! What the front does while its worker lives: one loop that carries bytes, signals and sizes.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp, tcgetpgrp};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::streams::Streams;
use super::{BEGUN, STOPPED, fit};
use crate::exit::Status;

/// How much is carried at once, in bytes: twice what a terminal of Linux buffers.
const CHUNK: usize = 8 << 10;

/// How often is looked whether loopbox has come to the foreground, of which nobody tells a process that runs, in
/// milliseconds.
const BACKGROUND_POLL: u16 = 200;

/// How long is waited for the last of what was written once the worker has ended. Only a process that has left the jail
/// could keep its terminal open.
const DRAIN: Duration = Duration::from_secs(2);

const SIGNALS: [i32; 6] = [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH];

/// Both terminals, and what is on its way between them.
pub(super) struct TerminalRelay {
    streams: Streams,
    /// The outer end of the worker's terminal; it never blocks.
    inner: File,
    worker: UnixStream,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    /// The mode of the person's terminal, while it passes on every key.
    usual: Option<Termios>,
    /// Whether the program runs.
    begun: bool,
    /// Typed, and not yet taken by the worker's terminal.
    typed: Vec<u8>,
    /// Whether the person's terminal has gone.
    hung_up: bool,
}

/// What there is to do.
#[derive(Default)]
struct Ready {
    typed: bool,
    shown: bool,
    said: bool,
    signals: bool,
}

impl TerminalRelay {
    pub fn new(streams: Streams, inner: OwnedFd, worker: UnixStream) -> io::Result<TerminalRelay> {
        let (read, write) = UnixStream::pair()?;
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, SIGNALS)?;
        rustix::io::ioctl_fionbio(&inner, true)?;
        // Loopbox may be sent to the background between a look and a call; blocked, the signal stops nobody.
        let mut blocked = SigSet::empty();
        blocked.add(Signal::SIGTTOU);
        blocked.thread_block()?;
        Ok(TerminalRelay {
            streams,
            inner: File::from(inner),
            worker,
            signals,
            usual: None,
            begun: false,
            typed: Vec::new(),
            hung_up: false,
        })
    }

    /// Carries until the worker has ended.
    pub fn carry(mut self, mut worker: Child) -> io::Result<Status> {
        let number = Pid::from_raw(worker.id().cast_signed());
        loop {
            self.listen_if_in_foreground();
            let ready = self.wait()?;
            if ready.signals {
                self.take_signals(number);
            }
            if ready.shown {
                self.show();
            }
            if ready.typed {
                self.take_keys();
            }
            self.put_keys();
            if ready.said && !self.take_word() {
                break;
            }
        }
        let ended = worker.wait()?;
        self.drain();
        Ok(status(ended))
    }

    fn wait(&self) -> io::Result<Ready> {
        let stdin = io::stdin();
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let listens = self.usual.is_some() && self.typed.is_empty() && !self.hung_up;
        let mut inner = PollFlags::POLLIN;
        inner.set(PollFlags::POLLOUT, !self.typed.is_empty());
        let mut waiting = vec![
            PollFd::new(self.inner.as_fd(), inner),
            readable(self.worker.as_fd()),
            readable(self.signals.get_read().as_fd()),
        ];
        waiting.extend(listens.then(|| readable(stdin.as_fd())));
        let timeout = match self.begun && self.usual.is_none() {
            true => PollTimeout::from(BACKGROUND_POLL),
            false => PollTimeout::NONE,
        };
        match poll(&mut waiting, timeout) {
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => return Ok(Ready { signals: true, ..Ready::default() }),
            Err(errno) => return Err(errno.into()),
        }
        let happened = |at: usize| waiting.get(at).and_then(PollFd::any).unwrap_or(false);
        Ok(Ready { shown: happened(0), said: happened(1), signals: happened(2), typed: happened(3) })
    }

    /// False once the worker has ended.
    fn take_word(&mut self) -> bool {
        let mut word = [0];
        match self.worker.read(&mut word) {
            Ok(1..) if word == [BEGUN] => self.begun = true,
            Ok(1..) if word == [STOPPED] => self.stop(),
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return false,
        }
        true
    }

    fn take_signals(&mut self, worker: Pid) {
        for signal in self.signals.pending().collect::<Vec<_>>() {
            match signal {
                SIGWINCH => fit(&self.inner, io::stdin()),
                SIGTSTP => self.stop(),
                SIGCONT => self.go_on(),
                signal => {
                    if let Ok(signal) = Signal::try_from(signal) {
                        // It may have ended, and has not been waited for: the number is its own.
                        let _ = kill(worker, signal);
                    }
                }
            }
        }
    }

    /// Stops, as far as the person's shell can see. The worker goes on serving.
    fn stop(&mut self) {
        self.show();
        self.restore();
        let _ = kill(Pid::this(), Signal::SIGSTOP);
    }

    /// The shell has brought loopbox to the foreground again, or lets it go on in the background.
    fn go_on(&mut self) {
        self.restore();
        self.listen_if_in_foreground();
        fit(&self.inner, io::stdin());
        if let Ok(group) = tcgetpgrp(&self.inner)
            && group.as_raw() > 1
        {
            let _ = killpg(group, Signal::SIGCONT);
        }
    }

    /// Has the person's terminal pass on every key, those that would stop or end loopbox too. Nobody else may use it.
    fn listen_if_in_foreground(&mut self) {
        if !self.begun || self.usual.is_some() || !is_in_foreground() {
            return;
        }
        let Ok(usual) = tcgetattr(io::stdin()) else { return };
        let mut raw = usual.clone();
        raw.make_raw();
        if tcsetattr(io::stdin(), OptionalActions::Now, &raw).is_ok() {
            self.usual = Some(usual);
        }
    }

    fn restore(&mut self) {
        if let Some(usual) = self.usual.take()
            && is_in_foreground()
        {
            // When it has gone there is nothing to restore.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &usual);
        }
    }

    fn take_keys(&mut self) {
        let mut buffer = [0; CHUNK];
        match rustix::io::read(io::stdin(), &mut buffer) {
            Ok(0) => self.hung_up = true,
            Ok(read) => self.typed.extend(&buffer[..read]),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(_) => self.hung_up = true,
        }
    }

    /// As much as the worker's terminal takes.
    fn put_keys(&mut self) {
        while !self.typed.is_empty() {
            match self.inner.write(&self.typed) {
                Ok(written) if written > 0 => drop(self.typed.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // Nobody is there to read them any more.
                Ok(_) | Err(_) => self.typed.clear(),
            }
        }
    }

    /// Shows what there is. False once nobody can write any more.
    fn show(&mut self) -> bool {
        let mut buffer = [0; CHUNK];
        loop {
            match self.inner.read(&mut buffer) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                // The last writer has closed its side: EIO on Linux.
                Ok(0) | Err(_) => return false,
                Ok(read) => {
                    // A terminal that has gone shows nothing, and the worker is told by a signal.
                    let _ = write_all(self.outer(), &buffer[..read]);
                    if read < CHUNK {
                        return true;
                    }
                }
            }
        }
    }

    /// The stream that is the person's terminal.
    fn outer(&self) -> BorrowedFd<'static> {
        if self.streams.0[1] { rustix::stdio::stdout() } else { rustix::stdio::stderr() }
    }

    fn drain(&mut self) {
        let until = Instant::now() + DRAIN;
        while self.show() {
            let left = until.saturating_duration_since(Instant::now());
            let mut waiting = [PollFd::new(self.inner.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
            if left.is_zero() || poll(&mut waiting, timeout) == Ok(0) {
                return;
            }
        }
    }
}

impl Drop for TerminalRelay {
    fn drop(&mut self) {
        self.restore();
    }
}

/// Where the terminal controls no session of ours, there is no background either.
fn is_in_foreground() -> bool {
    tcgetpgrp(io::stdin()).map_or(true, |group| group == getpgrp())
}

/// Without a buffer of our own, whose rest would be written later.
fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) => {
                let mut waiting = [PollFd::new(to, PollFlags::POLLOUT)];
                let _ = poll(&mut waiting, PollTimeout::NONE);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// How loopbox ends when its worker has ended so.
fn status(ended: ExitStatus) -> Status {
    match (ended.code(), ended.signal()) {
        (Some(code), _) => Status::Exited(code),
        (None, signal) => Status::Signaled(signal.unwrap_or_default()),
    }
}
