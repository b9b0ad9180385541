//! A program with a root, processes, users and a network of its own.
//!
//! Three processes take part. *loopbox* serves the view and asks for the jail ([`Jail::spawn`]). The *supervisor* is
//! the same binary, run again with a hidden word ([`enter`]): in a session of its own it mounts the view where only
//! its own mount namespace sees it, starts the program, and takes the mount away when the program has ended or
//! loopbox has died. The *program* is process 1 of a process namespace: when it ends, the kernel kills the rest.

mod control;
mod error;
mod filter;
mod inside;
mod launch;
mod place;
mod spec;
mod supervisor;
mod system_calls;
mod text;
mod tree;
mod users;

pub use error::JailError;
pub use launch::{Jail, Killer, Outcome, Stdio3};
pub use place::{Place, Places, What};
pub use spec::{Ids, JailSpec, Limit, Resource, Root, User};
pub use supervisor::{Task, enter};
pub use system_calls::SystemCalls;
pub use users::{KillError, kill_user};

/// The hidden word that makes the binary call [`enter`].
pub const WORD: &str = "__jail";
