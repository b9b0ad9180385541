//! Entry point of the supervisor, which loopbox starts by running itself with [`WORD`](super::WORD). On Linux that process
//! forks one supervisor for each jail ([`fork_server`](super::fork_server)).

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use super::control::{self, Report};
#[cfg(target_os = "linux")]
use super::fork_server::Forked;
use super::{JailError, SpawnRequest, supervisor};
use crate::sys;

/// What follows the control socket's number on the command line of a process that is to serve.
#[cfg(not(target_os = "linux"))]
pub(super) const SERVER: &str = "server";

/// What loopbox itself may do inside a jail: it gets the arguments and returns an exit status.
pub type Task = fn(&[OsString]) -> i32;

/// What serves a view in a process of its own: it gets its end of a control socket.
pub type Serve = fn(&UnixStream) -> ExitCode;

/// Runs as supervisor, or as server. Call it before the process has a second thread. `task` is for jails with `own_task`.
#[must_use]
pub fn enter(task: Task, serve: Serve) -> ExitCode {
    let Some(control) = inherited_socket() else {
        // Somebody typed the hidden word.
        return ExitCode::from(2);
    };
    #[cfg(target_os = "linux")]
    let control = match super::fork_server::serve(control) {
        Ok(Some(Forked::Supervisor(control))) => control,
        Ok(Some(Forked::Server(control))) => return serve(&control),
        Ok(None) => return ExitCode::SUCCESS,
        Err(_) => return ExitCode::FAILURE,
    };
    #[cfg(not(target_os = "linux"))]
    if env::args().nth(3).is_some_and(|word| word == SERVER) {
        return serve(&control);
    }
    let report = match control::receive::<SpawnRequest>(&control) {
        Ok(Some(request)) => supervisor::supervise(&request, task, &control),
        Ok(None) => return ExitCode::FAILURE,
        Err(source) => Report::Failed(JailError::Control { source }),
    };
    match control::send(&control, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn inherited_socket() -> Option<UnixStream> {
    let number = env::args().nth(2)?.parse().ok()?;
    sys::inherited(number).ok().map(UnixStream::from)
}

/// Whoever reads the program's output waits for all its writers to be gone; this process is none of them.
pub(crate) fn forget_streams() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(())
}
