//! Put a served address at a path; enter a root; run a command there.
//!
//! Nothing here knows the NFS wire format or Nix: a [`Source`] is an address and an export path, and the operating
//! system's own NFS client does the rest.

mod contents;
mod errno;
pub mod farm;
#[cfg(target_os = "linux")]
pub mod guard;
#[cfg(any(test, not(target_os = "linux")))]
mod image;
pub mod jail;
mod mount;
mod names;
mod network;
pub mod options;
mod process;
pub mod profile;
mod sources;
pub mod stale;
mod sys;
pub mod tree;
pub mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use contents::copy_contents;
pub use mount::{Aborter, Mount, MountError, is_mount_point, mount_path, unmount};
pub use names::unguessable;
pub use network::{Network, NetworkError};
pub use options::MountOptions;
pub use sys::{inherited, signal_text};

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
