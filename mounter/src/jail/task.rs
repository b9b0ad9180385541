//! What loopbox's own program does in the processes of a jail.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// What loopbox itself may do inside a jail: it gets the arguments and returns an exit status.
pub type Task = fn(&[OsString]) -> i32;

/// What serves a view in a process of its own: it gets its end of a control socket.
pub type Serve = fn(&UnixStream) -> ExitCode;

/// What attends to a connection, for somebody else, in a process of its own.
#[cfg(target_os = "linux")]
pub type Attend = fn(Attendance) -> ExitCode;

/// A connection, and what it takes to attend to it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Attendance {
    /// Who asks.
    pub connection: UnixStream,
    /// What was to be said to this process by the one that had it forked.
    pub told: UnixStream,
    /// What forks supervisors and servers for it.
    pub spawner: super::Spawner,
}

/// What this binary does in processes other than the first.
#[derive(Clone, Copy, Debug)]
pub struct Roles {
    /// In jails that ask for it.
    pub task: Task,
    /// In servers' processes.
    pub serve: Serve,
    /// In attendants' processes.
    #[cfg(target_os = "linux")]
    pub attend: Attend,
}
