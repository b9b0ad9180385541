//! A process that forks supervisors: starting a program of loopbox's size takes several times as long as a fork of it.
//!
//! It is this binary, run again from a file that nobody can change ([`Executable`]), so that nothing of loopbox is in its
//! memory; it has one thread, and ends with loopbox. For each supervisor it is sent the ends of four pipes or sockets, of
//! which it keeps none, and answers with a descriptor that stands for the new process.

use std::fs::File;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};

use nix::unistd::ForkResult;

use super::executable::Executable;
use super::{Stdio3, WORD};
use crate::sys;

/// Descriptors that come with a request: the program's three streams, and the supervisor's end of its control socket.
const SENT: usize = sys::DESCRIPTORS_MAX;

/// The number of a request, and of an answer that is not an error's.
const FORKED: i32 = 0;

/// loopbox's side. Dropping it ends the process; supervisors that it has forked go on.
#[derive(Debug)]
pub(super) struct ForkServer {
    socket: UnixStream,
    process: Child,
}

impl ForkServer {
    /// Starts `loopbox` (this binary) as one.
    pub fn start(loopbox: &Path) -> io::Result<ForkServer> {
        let (ours, theirs) = UnixStream::pair()?;
        let executable = Executable::of(loopbox)?;
        let mut command = Command::new(executable.path());
        command.arg0("loopbox").arg(WORD).arg(theirs.as_raw_fd().to_string()).env_clear().current_dir("/");
        let null = || File::options().read(true).write(true).open("/dev/null");
        command.stdin(null()?).stdout(null()?).stderr(null()?);
        sys::in_own_session_with(&mut command, theirs.as_raw_fd());
        Ok(ForkServer { socket: ours, process: command.spawn()? })
    }

    /// Has a supervisor forked that has these streams and this end of a control socket; its pidfd.
    pub fn fork(&self, stdio: &Stdio3, control: &UnixStream) -> io::Result<OwnedFd> {
        let Stdio3 { stdin, stdout, stderr } = stdio;
        let sent: [BorrowedFd<'_>; SENT] = [stdin.as_fd(), stdout.as_fd(), stderr.as_fd(), control.as_fd()];
        sys::send_descriptors(&self.socket, FORKED, &sent)?;
        match sys::receive_descriptors(&self.socket)? {
            Some((FORKED, [Some(supervisor), ..])) => Ok(supervisor),
            Some((errno, _)) => Err(io::Error::from_raw_os_error(errno)),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for ForkServer {
    fn drop(&mut self) {
        // If the process has ended already, there is nobody to be told.
        let _ = self.socket.shutdown(Shutdown::Both);
        if let Err(error) = self.process.wait() {
            tracing::warn!("cannot wait for the process that forks supervisors: {error}");
        }
    }
}

/// The process itself, which has one thread. Returns in each supervisor, with its end of the control socket; and in the
/// process itself without one, when loopbox has ended.
pub(super) fn serve(socket: UnixStream) -> io::Result<Option<UnixStream>> {
    // The kernel reaps its children: loopbox holds on to them by their descriptors.
    sys::ignore_children(true)?;
    while let Some((_, received)) = sys::receive_descriptors(&socket)? {
        let [Some(stdin), Some(stdout), Some(stderr), Some(control)] = received else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let forked = sys::fork_single_threaded();
        if let Ok(ForkResult::Child) = forked {
            drop(socket);
            sys::ignore_children(false)?;
            nix::unistd::setsid()?;
            nix::unistd::dup2_stdin(stdin)?;
            nix::unistd::dup2_stdout(stdout)?;
            nix::unistd::dup2_stderr(stderr)?;
            return Ok(Some(control.into()));
        }
        // Whoever has the other ends waits to see these closed.
        drop((stdin, stdout, stderr, control));
        let supervisor = forked.and_then(|forked| match forked {
            ForkResult::Parent { child } => sys::pidfd_open(child),
            ForkResult::Child => Err(io::ErrorKind::Unsupported.into()),
        });
        match supervisor {
            Ok(supervisor) => sys::send_descriptors(&socket, FORKED, &[supervisor.as_fd()])?,
            Err(error) => sys::send_descriptors(&socket, error.raw_os_error().unwrap_or(libc::EIO), &[])?,
        }
    }
    Ok(None)
}
