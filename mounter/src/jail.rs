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
pub mod control;
mod device;
mod enter;
mod error;
#[cfg(target_os = "linux")]
mod executable;
#[cfg(target_os = "linux")]
mod filter;
#[cfg(target_os = "linux")]
mod fork_server;
mod handle;
#[cfg(target_os = "linux")]
mod init;
#[cfg(target_os = "linux")]
mod inside;
mod launch;
mod limits;
mod mac;
mod orders;
mod place;
mod spawner;
mod spec;
#[cfg(target_os = "linux")]
mod stage;
mod streams;
#[cfg(target_os = "linux")]
mod supervisor;
mod system_calls;
mod text;
#[cfg(target_os = "linux")]
mod tree;
mod users;

#[cfg(not(target_os = "linux"))]
use mac::supervisor;
#[cfg(not(target_os = "linux"))]
pub(crate) use mac::sys::start_time;

pub use device::{Device, DeviceNode};
#[cfg(target_os = "linux")]
pub(crate) use enter::forget_streams;
pub use enter::{Serve, Task, enter};
pub use error::JailError;
#[cfg(target_os = "linux")]
pub(crate) use handle::reap;
pub use launch::{End, Jail, Killer, Outcome, Stdio3};
pub use mac::{Architecture, EntryMode, Mac};
pub use place::{Place, Places, What};
pub use spawner::{ServerProcess, Spawner};
pub use spec::{Ids, JailSpec, Limit, Resource, Root, SpawnRequest, User};
pub use streams::{StreamError, Streams};
pub use system_calls::{SystemCalls, can_scope_abstract_sockets};
pub use users::KillError;

/// The hidden word that makes the binary call [`enter`].
pub const WORD: &str = "__jail";
