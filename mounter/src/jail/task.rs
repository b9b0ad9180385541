//! What loopbox's own program does in the processes of a jail.

use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// What loopbox itself may do inside a jail: it gets the arguments and returns an exit status.
pub type Task = fn(&[OsString]) -> i32;

/// What serves a view in a process of its own: it gets its end of a control socket.
pub type Serve = fn(&UnixStream) -> ExitCode;
