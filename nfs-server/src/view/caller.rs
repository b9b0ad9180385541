//! Callers, and what a file's mode permits them.

use defences::Defence;
use serde::{Deserialize, Serialize};

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

/// A user with all groups, as a process is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
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

impl Credentials {
    /// A request with these.
    pub(crate) fn caller(&self) -> Caller<'_> {
        Caller { uid: self.uid, gid: self.gid, groups: &self.groups }
    }
}

impl Caller<'_> {
    /// Root.
    pub const ROOT: Caller<'static> = Caller { uid: 0, gid: 0, groups: &[] };

    /// Whether a mode grants this permission. Root has all but to execute what nobody may execute.
    pub(crate) fn may(&self, mask: AccessMask, kind: FileType, node: Permissions) -> bool {
        if !Defence::Modes.stands() {
            return true;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [AccessMask; 3] = [AccessMask::Read, AccessMask::Write, AccessMask::Execute];

    fn granted(caller: Caller<'_>, kind: FileType, mode: u32) -> [bool; 3] {
        ALL.map(|mask| caller.may(mask, kind, Permissions { mode, uid: 10, gid: 20 }))
    }

    #[test]
    fn the_owners_bits_count_for_the_owner_alone() {
        let owner = Caller { uid: 10, gid: 20, groups: &[20] };
        assert_eq!(granted(owner, FileType::Regular, 0o400), [true, false, false]);
        assert_eq!(granted(owner, FileType::Regular, 0o077), [false; 3], "even if everybody else may");
        let other = Caller { uid: 11, gid: 21, groups: &[] };
        assert_eq!(granted(other, FileType::Regular, 0o770), [false; 3]);
        assert_eq!(granted(other, FileType::Regular, 0o002), [false, true, false]);
    }

    #[test]
    fn the_groups_bits_count_for_its_members() {
        for member in [Caller { uid: 11, gid: 20, groups: &[] }, Caller { uid: 11, gid: 1, groups: &[5, 20] }]
        {
            assert_eq!(granted(member, FileType::Regular, 0o050), [true, false, true]);
            assert_eq!(granted(member, FileType::Regular, 0o707), [false; 3]);
        }
    }

    #[test]
    fn root_may_do_all_but_execute_what_nobody_may() {
        assert_eq!(granted(Caller::ROOT, FileType::Regular, 0), [true, true, false]);
        for mode in [0o100, 0o010, 0o001] {
            assert_eq!(granted(Caller::ROOT, FileType::Regular, mode), [true; 3]);
        }
        assert_eq!(granted(Caller::ROOT, FileType::Directory, 0), [true; 3]);
    }

    #[test]
    fn names_are_changed_by_who_may_write_and_search() {
        let owner = Caller { uid: 10, gid: 20, groups: &[] };
        let check = |mode| owner.check_names(Permissions { mode, uid: 10, gid: 20 });
        assert_eq!([0o300, 0o200, 0o100].map(check), [Ok(()), Err(Error::Access), Err(Error::Access)]);
    }
}
