//! `loopbox daemon`: mounts views and enters them for others, who may have nothing that they could not have themselves.

#[cfg(target_os = "linux")]
mod execute;

use std::path::PathBuf;

#[cfg(target_os = "linux")]
pub use execute::{attend, execute};

/// Mount views for those who are not root, such as Nix's build users
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "read where there is a daemon"))]
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The policy: a file that says who may use the daemon
    #[arg(long, value_name = "FILE", default_value = "/etc/loopbox/daemon.toml")]
    policy: PathBuf,
}
