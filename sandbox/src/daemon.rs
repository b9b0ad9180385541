//! loopbox for those who are not root: a daemon that lends the two things that take root, mounting a view and entering it.
//!
//! Whoever asks ([`Daemon`]) plans everything himself: which files his view shows, what runs in it, where it writes. The
//! daemon ([`serve`]) looks at who asks and starts an attendant for him, a process of its own ([`attend`]), which checks what
//! he asks for. The view's server becomes the asking user before it opens the first file, with his root
//! directory; the program runs as him; and nothing is created, moved or removed for him that he could not do himself. So the
//! kernel refuses what he may not, and there is nobody who could be talked into it.
//!
//! The daemon holds nothing that a restart would lose: attendants and their sessions go on without it.

mod attendant;
mod check;
mod client;
mod control_groups;
mod limits;
mod listener;
mod peer;
mod policy;
mod request;

pub use attendant::{AttendantConfig, attend};
pub use client::Daemon;
pub use listener::{DaemonListener, ListenError, serve};
pub use mounter::jail::control::send_descriptors;
pub use peer::Peer;
pub use policy::{Policy, PolicyError};

/// Where the daemon listens.
pub const SOCKET: &str = "/run/loopbox.socket";

/// The file that says who may ask.
pub const POLICY: &str = "/etc/loopbox/daemon.toml";
