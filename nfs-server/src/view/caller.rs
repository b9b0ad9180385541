//! Callers, and what a file's mode permits them.

use super::attributes::{FileType, Permissions};
use super::error::Error;

/// The credentials of a request.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: &'a [u32],
}

/// A permission, by its bit in a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum AccessMask {
    /// Read a file, list a directory.
    Read = 0o4,
    /// Change a file, or the names in a directory.
    Write = 0o2,
    /// Run a file, look up a name in a directory.
    Execute = 0o1,
}

impl Caller<'_> {
    /// Root.
    pub const ROOT: Caller<'static> = Caller { uid: 0, gid: 0, groups: &[] };

    /// Whether a mode grants this permission. Root has all but to execute what nobody may execute.
    pub(crate) fn may(&self, mask: AccessMask, kind: FileType, node: Permissions) -> bool {
        if self.uid == 0 {
            return mask != AccessMask::Execute || kind == FileType::Directory || node.mode & 0o111 != 0;
        }
        let shift = match () {
            () if self.uid == node.uid => 6,
            () if self.is_in(node.gid) => 3,
            () => 0,
        };
        (node.mode >> shift) & mask as u32 != 0
    }

    /// [`Caller::may`], as an error.
    pub(crate) fn check(&self, mask: AccessMask, kind: FileType, node: Permissions) -> Result<(), Error> {
        if self.may(mask, kind, node) { Ok(()) } else { Err(Error::Access) }
    }

    /// Whether the mode of a directory lets this user change the names in it.
    pub(crate) fn check_names(&self, directory: Permissions) -> Result<(), Error> {
        self.check(AccessMask::Write, FileType::Directory, directory)?;
        self.check(AccessMask::Execute, FileType::Directory, directory)
    }

    pub(crate) fn owns(&self, node: Permissions) -> bool {
        self.uid == 0 || self.uid == node.uid
    }

    pub(crate) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}
