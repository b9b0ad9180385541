//! Who may do what: by owner and mode.

use nfs3_types::nfs3::nfsstat3::{self, *};
use nfs3_types::nfs3::{Nfs3Option, sattr3, set_atime, set_mtime};

use super::super::call::User;
use super::{Contents, Model, Node, Part, Refusal};

pub(super) const READ: u32 = 4;
pub(super) const WRITE: u32 = 2;
pub(super) const EXECUTE: u32 = 1;

impl User {
    pub(super) fn is_in(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }

    pub(super) fn owns(&self, node: &Node) -> bool {
        self.uid == 0 || self.uid == node.uid
    }

    pub(super) fn may(&self, bit: u32, node: &Node) -> bool {
        if self.uid == 0 {
            let is_directory = matches!(node.contents, Contents::Directory { .. });
            return bit != EXECUTE || is_directory || node.mode & 0o111 != 0;
        }
        let shift = match () {
            () if self.uid == node.uid => 6,
            () if self.is_in(node.gid) => 3,
            () => 0,
        };
        node.mode >> shift & bit != 0
    }

    fn check(&self, bit: u32, node: &Node) -> Result<(), nfsstat3> {
        if self.may(bit, node) { Ok(()) } else { Err(NFS3ERR_ACCES) }
    }

    pub(super) fn check_search(&self, node: &Node) -> Result<(), nfsstat3> {
        self.check(EXECUTE, node)
    }

    pub(super) fn check_read(&self, node: &Node) -> Result<(), nfsstat3> {
        self.check(READ, node)
    }

    /// An owner goes on writing to a file that it has opened, whatever the mode became.
    pub(super) fn check_write(&self, node: &Node) -> Result<(), nfsstat3> {
        if self.owns(node) { Ok(()) } else { self.check(WRITE, node) }
    }

    pub(super) fn check_names(&self, node: &Node) -> Result<(), nfsstat3> {
        self.check(WRITE, node).and_then(|()| self.check(EXECUTE, node))
    }

    /// Attributes of an existing file (chmod(2), chown(2), truncate(2), utimensat(2)).
    pub(super) fn check_set(&self, set: &sattr3, node: &Node) -> Result<(), nfsstat3> {
        let owns = self.owns(node);
        if let Nfs3Option::Some(mode) = set.mode {
            check_mode(mode)?;
            if !owns {
                return Err(NFS3ERR_PERM);
            }
        }
        if self.uid != 0 {
            let uid = matches!(set.uid, Nfs3Option::Some(uid) if uid != node.uid || !owns);
            let gid =
                matches!(set.gid, Nfs3Option::Some(gid) if !owns || (gid != node.gid && !self.is_in(gid)));
            if uid || gid {
                return Err(NFS3ERR_PERM);
            }
        }
        if set.size.is_some() && !owns {
            self.check(WRITE, node)?;
        }
        let times =
            (matches!(set.atime, set_atime::DONT_CHANGE), matches!(set.mtime, set_mtime::DONT_CHANGE));
        match set.mtime {
            _ if owns || times == (true, true) => Ok(()),
            set_mtime::SET_TO_SERVER_TIME => self.check(WRITE, node),
            _ => Err(NFS3ERR_PERM),
        }
    }
}

/// Set-id bits are refused, and not dropped.
pub(super) fn check_mode(mode: u32) -> Result<(), nfsstat3> {
    if mode & 0o6000 == 0 { Ok(()) } else { Err(NFS3ERR_PERM) }
}

pub(super) fn check_name(name: &[u8]) -> Result<(), nfsstat3> {
    const NAME_MAX: usize = 255;
    match name {
        _ if name.len() > NAME_MAX => Err(NFS3ERR_NAMETOOLONG),
        [] => Err(NFS3ERR_INVAL),
        _ if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(NFS3ERR_INVAL),
        _ => Ok(()),
    }
}

impl Model {
    /// The file of a handle.
    pub(super) fn node(&self, handle: &nfs3_types::nfs3::nfs_fh3) -> Result<usize, Refusal> {
        let node = *self.handles.get(handle.data.as_ref()).ok_or(NFS3ERR_BADHANDLE)?;
        if self.nodes[node].links == 0 { Err(NFS3ERR_STALE.into()) } else { Ok(node) }
    }

    /// The file of a handle, where the view is writable.
    pub(super) fn writable(&self, handle: &nfs3_types::nfs3::nfs_fh3) -> Result<usize, Refusal> {
        let node = self.node(handle)?;
        if self.nodes[node].part == Part::Scratch { Ok(node) } else { Err(Refusal::ReadOnly) }
    }

    /// What lies in a directory.
    pub(super) fn child(&self, directory: usize, name: &[u8]) -> Option<usize> {
        match &self.nodes[directory].contents {
            Contents::Directory { names, .. } => names.get(name).copied(),
            _ => None,
        }
    }

    pub(super) fn is_directory(&self, node: usize) -> bool {
        matches!(self.nodes[node].contents, Contents::Directory { .. })
    }

    pub(super) fn check_directory(&self, node: usize) -> Result<(), nfsstat3> {
        if self.is_directory(node) { Ok(()) } else { Err(NFS3ERR_NOTDIR) }
    }

    /// In a sticky directory only its owner, the file's owner and root remove a name.
    pub(super) fn check_sticky(&self, user: &User, directory: usize, node: usize) -> Result<(), nfsstat3> {
        let (directory, node) = (&self.nodes[directory], &self.nodes[node]);
        if directory.mode & 0o1000 != 0 && !user.owns(directory) && !user.owns(node) {
            return Err(NFS3ERR_PERM);
        }
        Ok(())
    }
}
