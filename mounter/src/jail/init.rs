//! Process 1 of a jail whose program is not process 1 itself: it starts the program, reaps orphans, and tells the
//! supervisor when the program stops and how it ends. The kernel ignores signals for a process 1 that has no handler
//! for them (pid_namespaces(7)): no Ctrl-C would end it, no Ctrl-Z stop it.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process;

use nix::sys::prctl;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{ForkResult, Pid};
use rustix::process::{WaitOptions, wait};

use super::control::{self, InitReport};
use super::{JailError, JailSpec};
use crate::child::{WHICHEVER, outcome};
use crate::sys;

/// Forks. The child returns, to become the program; this process stays until the program has ended.
pub(super) fn fork_program(spec: &JailSpec, reports: &UnixStream) -> Result<(), JailError> {
    let failed = |source: io::Error| JailError::Session { source };
    // Nobody inside traces this process or looks into it. An exec makes the program's own process dumpable again.
    prctl::set_dumpable(false).map_err(|errno| failed(errno.into()))?;
    match sys::fork_single_threaded().map_err(|source| JailError::Fork { source })? {
        ForkResult::Child if spec.terminal => lead_foreground().map_err(|errno| failed(errno.into())),
        ForkResult::Child => Ok(()),
        // The supervisor notices the end of a process that did not report one.
        ForkResult::Parent { child } => match serve(child, reports) {
            Ok(never) => match never {},
            Err(_) => process::exit(1),
        },
    }
}

/// A process group of its own, in the foreground of the terminal. Its parent is in the same session but in another
/// group: the kernel does not stop a group that has no such parent (an orphaned one, setpgid(2)).
fn lead_foreground() -> nix::Result<()> {
    nix::unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    // Who is not in the foreground yet is stopped for asking, unless the signal is blocked (tcsetpgrp(3)).
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGTTOU);
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&blocked), None)?;
    nix::unistd::tcsetpgrp(io::stdin(), nix::unistd::getpid())?;
    sigprocmask(SigmaskHow::SIG_UNBLOCK, Some(&blocked), None)
}

/// Waits for every child: the program, and those that others have left.
fn serve(program: Pid, reports: &UnixStream) -> io::Result<Infallible> {
    // The program's streams and the supervisor's own descriptors have other ends that wait to see them closed.
    nix::unistd::dup2_stdin(reports)?;
    sys::close_from(1)?;
    let reports = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    loop {
        let (pid, status) = match wait(WHICHEVER | WaitOptions::UNTRACED) {
            Ok(Some(waited)) => waited,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if pid.as_raw_nonzero().get() != program.as_raw() {
            continue;
        }
        if status.stopped() {
            control::send(&reports, &InitReport::Stopped)?;
        } else if let Some(outcome) = outcome(status) {
            control::send(&reports, &InitReport::Ended(outcome))?;
            // The kernel kills what else is inside.
            process::exit(0);
        }
    }
}
