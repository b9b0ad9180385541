//! Child processes: how they end, and how they are held on to, so that no other one is meant that has their number by then.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
#[cfg(target_os = "linux")]
use rustix::process::Signal;
use rustix::process::{WaitOptions, WaitStatus, waitpid};
use serde::{Deserialize, Serialize};

/// Of a child, whatever it tells its parent with when it ends (waitpid(2)).
#[cfg(target_os = "linux")]
pub(crate) const WHICHEVER: WaitOptions = WaitOptions::from_bits_retain(libc::__WALL as u32);
#[cfg(not(target_os = "linux"))]
const WHICHEVER: WaitOptions = WaitOptions::empty();

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExitOutcome {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
}

/// The process. The descriptor can be read from once it has ended.
#[derive(Debug)]
pub(crate) struct Handle {
    #[cfg(target_os = "linux")]
    ended: std::os::fd::OwnedFd,
    #[cfg(not(target_os = "linux"))]
    ended: nix::sys::event::Kqueue,
    #[cfg(not(target_os = "linux"))]
    pid: Pid,
}

#[cfg(target_os = "linux")]
impl Handle {
    /// Holds on to a process.
    pub(crate) fn of(pid: Pid) -> io::Result<Handle> {
        Ok(Handle { ended: crate::sys::pidfd_open(pid)? })
    }

    /// Kills it. That it has ended already is an error.
    pub(crate) fn kill(&self) -> io::Result<()> {
        Ok(rustix::process::pidfd_send_signal(&self.ended, Signal::KILL)?)
    }

    fn descriptor(&self) -> &std::os::fd::OwnedFd {
        &self.ended
    }
}

#[cfg(not(target_os = "linux"))]
impl Handle {
    /// Holds on to a process: the kernel notes its end in a queue (kqueue(2)).
    pub(crate) fn of(pid: Pid) -> io::Result<Handle> {
        use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
        let ended = Kqueue::new()?;
        let number = usize::try_from(pid.as_raw()).map_err(io::Error::other)?;
        let watch =
            KEvent::new(number, EventFilter::EVFILT_PROC, EvFlags::EV_ADD, FilterFlag::NOTE_EXIT, 0, 0);
        ended.kevent(&[watch], &mut [], None)?;
        Ok(Handle { ended, pid })
    }

    /// Kills it, unless its end has been noted, after which its number may be another's.
    pub(crate) fn kill(&self) -> io::Result<()> {
        if self.has_ended(PollTimeout::ZERO) {
            return Err(Errno::ESRCH.into());
        }
        Ok(nix::sys::signal::kill(self.pid, nix::sys::signal::SIGKILL)?)
    }

    fn descriptor(&self) -> &nix::sys::event::Kqueue {
        &self.ended
    }
}

impl Handle {
    /// Waits for its end.
    pub(crate) fn wait(&self) {
        while !self.has_ended(PollTimeout::NONE) {}
    }

    pub(crate) fn has_ended(&self, timeout: PollTimeout) -> bool {
        let mut ended = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut ended, timeout), Ok(0) | Err(Errno::EINTR))
    }
}

/// Waits for a child's end and takes its status, after which its number may be another's. The signal may be any of the
/// system's, real-time signals too: `nix` takes the status of a child that one of those ended, and knows no name for it.
pub(crate) fn reap(child: Pid) -> io::Result<ExitOutcome> {
    let child = rustix::process::Pid::from_raw(child.as_raw());
    loop {
        let status = match waitpid(child, WHICHEVER) {
            Ok(Some((_, status))) => status,
            Ok(None) | Err(rustix::io::Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        if let Some(outcome) = outcome(status) {
            return Ok(outcome);
        }
    }
}

/// What a status says of the end of a process, if it says that it has ended.
pub(crate) fn outcome(status: WaitStatus) -> Option<ExitOutcome> {
    let exited = status.exit_status().map(ExitOutcome::Exited);
    exited.or_else(|| status.terminating_signal().map(ExitOutcome::Signaled))
}

/// What a descriptor of the kernel's stands for (pidfd_open(2)).
#[cfg(target_os = "linux")]
impl From<std::os::fd::OwnedFd> for Handle {
    fn from(ended: std::os::fd::OwnedFd) -> Handle {
        Handle { ended }
    }
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor().as_fd()
    }
}

/// Whoever reads the program's output waits for all its writers to be gone; this process is none of them.
pub(crate) fn forget_streams() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[allow(clippy::zombie_processes, reason = "it is waited for by its number")]
    fn how_a_child_ended_is_told_of_every_signal_of_the_system() {
        let highest = if cfg!(target_os = "linux") { 64 } else { 31 };
        for signal in [libc::SIGTERM, libc::SIGKILL, highest] {
            let child = Command::new("sh").args(["-c", &format!("kill -{signal} $$")]).spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
            assert_eq!(reap(pid).unwrap(), ExitOutcome::Signaled(signal));
        }
    }
}
