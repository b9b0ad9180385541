//! The devices of a root, as plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::text;

/// A device at a place in the root. Something has to be there to mount it on: a directory for a directory, and for a
/// device anything else but a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// Where it is.
    #[serde(with = "text::path")]
    pub at: PathBuf,
    /// The device.
    pub node: DeviceNode,
}

/// Which device is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum DeviceNode {
    /// The character device of this number, by a node of the jail's own.
    Number {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Permission bits.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A device node of the host, or a directory of such. Its mode and owner cannot be changed from inside.
    Host {
        /// The host path.
        #[serde(with = "text::path")]
        source: PathBuf,
    },
}
