//! What tells a file or directory of the machine from all others, whatever it is called.

use std::io;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

/// A file or directory of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Number of its device.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
}

impl Identity {
    /// That of an open one.
    ///
    /// # Errors
    /// Of fstat(2).
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "the fields' widths differ between systems"
    )]
    pub fn of(opened: impl AsFd) -> io::Result<Identity> {
        let status = fstat(opened)?;
        Ok(Identity { device: status.st_dev as u64, inode: status.st_ino as u64 })
    }
}
