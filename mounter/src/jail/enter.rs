//! Entry point of the supervisor, which loopbox starts by running itself with [`WORD`](super::WORD). On Linux that process
//! forks one supervisor for each jail ([`fork_server`](super::fork_server)).

use std::env;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

#[cfg(not(target_os = "linux"))]
use super::SERVER;
use super::control::{self, Report};
#[cfg(target_os = "linux")]
use super::fork_server::Forked;
#[cfg(target_os = "linux")]
use super::{AttendantContext, Spawner};
use super::{JailError, Roles, SpawnRequest, supervisor};
use crate::sys;

/// Runs as supervisor, as server, or as attendant. Call it before the process has a second thread.
#[must_use]
pub fn enter(roles: &Roles) -> ExitCode {
    let Some(control) = inherited_socket() else {
        // Somebody typed the hidden word.
        return ExitCode::from(2);
    };
    #[cfg(target_os = "linux")]
    let control = match super::fork_server::begin(control) {
        Ok(Some(Forked::Supervisor(control))) => control,
        Ok(Some(Forked::Server(control))) => return (roles.serve)(&control),
        Ok(Some(Forked::Attendant { connection, config, forks })) => {
            return (roles.attend)(AttendantContext { connection, config, spawner: Spawner::of(forks) });
        }
        Ok(None) => return ExitCode::SUCCESS,
        Err(_) => return ExitCode::FAILURE,
    };
    #[cfg(not(target_os = "linux"))]
    if env::args().nth(3).is_some_and(|word| word == SERVER) {
        return (roles.serve)(&control);
    }
    let report = match control::receive::<SpawnRequest>(&control) {
        Ok(Some(request)) => supervisor::supervise(&request, roles.task, &control),
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
