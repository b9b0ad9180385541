//! What loopbox's own program does in the processes of a jail.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// What loopbox itself may do inside a jail: it gets the arguments and returns an exit status.
pub type Task = fn(&[OsString]) -> i32;

/// What serves a view in a process of its own: it gets its end of a control socket.
pub type Serve = fn(&UnixStream) -> ExitCode;

/// What serves one connection to the daemon, in a process of its own (an attendant).
#[cfg(target_os = "linux")]
pub type Attend = fn(AttendantContext) -> ExitCode;

/// What an attendant starts with.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct AttendantContext {
    /// The client's connection to the daemon.
    pub connection: UnixStream,
    /// Where the daemon sends the attendant's configuration.
    pub config: UnixStream,
    /// Forks supervisors and servers for it.
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
