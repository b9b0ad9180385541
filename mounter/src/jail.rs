//! A program with a root, processes, users and a network of its own.
//!
//! Three processes take part. *loopbox* serves the view and asks for the jail ([`Jail::spawn`]). The *supervisor* is
//! the same binary, run again with a hidden word ([`enter`]), on Linux as a fork of such a run that serves all jails of a
//! [`Spawner`]: in a session of its own it mounts the view where only
//! its own mount namespace sees it, starts the program, and takes the mount away when the program has ended or
//! loopbox has died. The *program* is process 1 of a process namespace, or the only child of one of loopbox's
//! own ([`JailSpec::own_init`]): when process 1 ends, the kernel kills the rest.
//!
//! macOS has no namespaces: there everybody sees the mount, though nobody else may enter it, and the supervisor kills
//! what is left of the program, by its user where that does nothing else.

mod become_program;
mod commands;
pub mod control;
mod device;
mod enter;
mod entry;
mod error;
#[cfg(target_os = "linux")]
mod executable;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod fork_server;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod inside;
mod launch;
mod limits;
mod local;
#[cfg(any(test, not(target_os = "linux")))]
mod mac;
mod place;
mod resource;
mod spawner;
mod spec;
#[cfg(target_os = "linux")]
mod stage;
mod stdio;
mod streams;
#[cfg(target_os = "linux")]
mod supervisor;
mod system_calls;
mod task;
#[cfg(target_os = "linux")]
mod tree;
mod users;

#[cfg(not(target_os = "linux"))]
use mac::supervisor;
#[cfg(not(target_os = "linux"))]
pub(crate) use mac::sys::start_time;

pub use crate::child::ExitOutcome;
pub use device::{Device, DeviceNode};
pub use enter::enter;
pub use entry::{Architecture, EntryMode, Mac};
pub use error::JailError;
pub use launch::{Jail, JailExit, Killer};
pub use local::{Local, LocalPlace};
#[cfg(not(target_os = "linux"))]
pub use mac::enter_profile;
pub use place::{Place, PlaceKind, Places};
pub use resource::{Limit, Resource};
#[cfg(target_os = "linux")]
pub use spawner::AttendantProcess;
pub use spawner::{ServerProcess, Spawner};
pub use spec::{Ids, JailSpec, NO_ID, Root, SpawnRequest, User};
pub use stdio::StdioFds;
pub use streams::{StreamError, Streams};
pub use system_calls::{SystemCalls, can_scope_abstract_sockets};
#[cfg(target_os = "linux")]
pub use task::{Attend, AttendantContext};
pub use task::{Roles, Serve, Task};
pub use users::KillError;

/// The hidden word that makes the binary call [`enter`].
pub const WORD: &str = "__jail";

/// What follows the control socket's number on the command line of a process that is to serve.
#[cfg(not(target_os = "linux"))]
const SERVER: &str = "server";
