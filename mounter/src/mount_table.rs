//! The kernel's table of mounts on macOS, as plain data.

use std::path::PathBuf;

/// A mount in the kernel's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MountEntry<Id> {
    /// Where it is.
    pub(crate) at: PathBuf,
    /// The file system's type.
    pub(crate) kind: String,
    /// What is mounted, in the file system's own words.
    pub(crate) device: String,
    /// Its flags (`sys/mount.h`).
    pub(crate) flags: u32,
    /// What the kernel knows it by, whatever its path leads to by then.
    pub(crate) id: Id,
}
