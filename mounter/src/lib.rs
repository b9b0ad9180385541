//! Mounts an NFS export of this machine, and runs a program with that mount as its root.
//!
//! A [`Source`] is an address and an export path; the operating system's own NFS client does the rest, so nothing here
//! knows the protocol, or Nix. What a client is told about a mount is made by pure functions:
//!
//! ```
//! use mounter::options::{self, Recovery};
//! use mounter::{MountOptions, Source};
//!
//! let source = Source { addr: ([127, 0, 0, 1], 2049).into(), export: "/view".into(), namespace: None };
//! assert_eq!(options::device(&source), "127.0.0.1:/view");
//! let line = options::linux(&source, &MountOptions::default(), Recovery::Hard);
//! assert!(line.starts_with("vers=3,proto=tcp,addr=127.0.0.1,port=2049,"));
//! ```
//!
//! Mounting needs root. A [`Mount`] is undone when it is dropped; [`Mount::unmount`] also reports what went wrong:
//!
//! ```no_run
//! # fn example(source: &mounter::Source) -> Result<(), mounter::MountError> {
//! use mounter::{Mount, MountOptions};
//!
//! let mount = Mount::new(source, "/mnt".as_ref(), &MountOptions::default())?;
//! println!("mounted at {}", mount.at().display());
//! mount.unmount()
//! # }
//! ```
//!
//! [`jail`] runs programs in there. A program that starts jails has to call [`jail::enter`] first thing in `main` when
//! its first argument is [`jail::WORD`]: it is its own supervisor.

mod child;
mod contents;
pub mod errno;
pub mod farm;
#[cfg(target_os = "linux")]
pub mod guard;
mod identity;
#[cfg(any(test, not(target_os = "linux")))]
mod image;
pub mod jail;
mod mount;
#[cfg(any(test, not(target_os = "linux")))]
mod mount_table;
mod names;
mod network;
pub mod options;
#[cfg(target_os = "linux")]
pub mod peer;
pub mod process;
pub mod profile;
#[cfg(target_os = "linux")]
pub mod rights;
mod sources;
mod sys;
mod text;
pub mod tree;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use contents::copy_contents;
pub use identity::Identity;
#[cfg(not(target_os = "linux"))]
pub use image::sweep_image;
pub use mount::{
    Aborter, Mount, MountError, end_served, force_unmount, is_mount_point, is_nfs, mount_path, unmount,
};
pub use names::unguessable;
pub use network::{Network, NetworkError};
pub use options::MountOptions;
pub use sys::{inherited, keep_ended_children, signal_text};

/// What a server offers: where it listens and the path of its export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The address of both the NFS and the MOUNT program.
    pub addr: SocketAddr,
    /// The export path, starting with a slash.
    pub export: String,
    /// The network namespace that the address is in, as a path for setns(2) ([`Network::path`]); none is the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<PathBuf>,
}
