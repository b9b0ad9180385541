//! Creates directories, symbolic links, FIFOs and sockets; and what all creating has in common.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::fcntl::AtFlags;
use nix::sys::stat::FileStat;
use nix::unistd::{Gid, Uid, UnlinkatFlags};

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType, permission_bits};
use super::caller::Caller;
use super::error::Error;
use super::host;
use super::impersonate::has_no_umask;
use super::node::Node;
use super::quota::FileBlocks;
use super::setattr::{SetAttributes, check_mode};
use super::spec::PATH_MAX;
use super::writable::{Writable, check_new_name};

/// A node to create, other than a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNode<'a> {
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

impl Writable<'_> {
    /// Creates anything but a regular file in this directory.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken.
    pub fn make(
        &self,
        name: &[u8],
        new: NewNode<'_>,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        check_new_name(name)?;
        let mode = set.mode.unwrap_or(if new == NewNode::Directory { 0o777 } else { 0o666 });
        check_mode(mode)?;
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = self.names(caller)?;
        self.view.nodes.check_room()?;
        let inode = self.new_inode(&directory, name)?;
        {
            let _impersonation = self.impersonate(caller)?;
            self.make_on_host(&directory, name, new, mode)?;
        }
        let completed = self.complete_made(&directory, name, new, mode, caller);
        let stat = completed.inspect_err(|_| self.discard_made(&directory, name, new))?;
        inode.keep();
        let (node, attributes) = self.admit(name, &stat)?;
        self.set_rest(node, attributes, set, caller)
    }

    /// Sets owner and mode of what was just created, as far as they differ.
    fn complete_made(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        new: NewNode<'_>,
        mode: u32,
        caller: Caller<'_>,
    ) -> Result<FileStat, Error> {
        if let Some((uid, gid)) = self.new_owner(caller) {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            nix::unistd::fchownat(directory, name, Some(uid), Some(gid), flags)?;
        }
        let stat = host::stat(directory, name)?;
        if matches!(new, NewNode::Symlink(_)) || !self.lacks_bits(&stat, mode) {
            return Ok(stat);
        }
        host::set_mode(directory, name, mode)?;
        Ok(host::stat(directory, name)?)
    }

    /// Removes what was just created and cannot have the owner that was asked for: a call that failed leaves nothing. Where
    /// other programs change the directory too, the name may be another's by now, and stays.
    fn discard_made(&self, directory: &OwnedFd, name: &[u8], new: NewNode<'_>) {
        let Ok(stat) = host::stat(directory, name) else { return };
        let kind =
            if new == NewNode::Directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
        if self.view.is_exclusive(&self.node) && nix::unistd::unlinkat(directory, name, kind).is_ok() {
            self.name_removed(name, host::identity(&stat), 1);
        }
    }

    fn make_on_host(
        &self,
        directory: &Arc<OwnedFd>,
        name: &[u8],
        new: NewNode<'_>,
        mode: u32,
    ) -> Result<(), Error> {
        let bits = permission_bits(mode);
        match new {
            NewNode::Directory => nix::sys::stat::mkdirat(&**directory, name, bits)?,
            NewNode::Symlink(target) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(Error::Invalid);
                }
                if target.len() > PATH_MAX {
                    return Err(Error::NameTooLong);
                }
                nix::unistd::symlinkat(target, &**directory, name)?;
            }
            NewNode::Fifo if self.view.capabilities.special_files => host::make_fifo(directory, name, bits)?,
            NewNode::Socket if self.view.capabilities.special_files => {
                host::make_socket(directory, name, bits)?;
            }
            // A marked file would stay a regular file on the host.
            NewNode::Fifo | NewNode::Socket if !self.host_entry()?.scratch => {
                return Err(Error::NotSupported);
            }
            NewNode::Fifo => drop(self.view.special_files.make(directory, name, FileType::Fifo, mode)?),
            NewNode::Socket => drop(self.view.special_files.make(directory, name, FileType::Socket, mode)?),
        }
        Ok(())
    }

    /// The owner to give to what was just created: the caller, unless it was created while impersonating it.
    pub(crate) fn new_owner(&self, caller: Caller<'_>) -> Option<(Uid, Gid)> {
        let is_own = (caller.uid, caller.gid) == self.view.identity;
        let gives = self.view.identity.0 == 0 && !self.host_checks_permissions() && !is_own;
        gives.then(|| (caller.uid.into(), caller.gid.into()))
    }

    /// Whether something just created lacks mode bits because of this process's umask.
    ///
    /// Never where the host checks permissions and the thread has no umask: then a default access control list removed them,
    /// and the name may lead to another file by now.
    pub(crate) fn lacks_bits(&self, made: &FileStat, mode: u32) -> bool {
        #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
        let differs = made.st_mode as u32 & 0o7777 != mode & 0o1777;
        differs && !(self.host_checks_permissions() && has_no_umask())
    }

    /// Sets the owners and times of something just created. Owners that the caller may not set are ignored, since clients
    /// send what would be the default on their own system.
    pub(crate) fn set_rest(
        &self,
        node: Node,
        attributes: Attributes,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        let rest = SetAttributes {
            mode: None,
            size: None,
            uid: set.uid.filter(|_| caller.uid == 0),
            gid: set.gid.filter(|gid| caller.uid == 0 || caller.is_in(*gid)),
            ..*set
        };
        if rest == SetAttributes::default() {
            return Ok((node, attributes));
        }
        let attributes = self.view.writable(node.clone())?.set(&rest, caller)?;
        Ok((node, attributes))
    }

    pub(crate) fn admit(&self, name: &[u8], stat: &FileStat) -> Result<(Node, Attributes), Error> {
        let parent = self.node.id();
        let attributes = self.view.host_attributes(stat);
        let node =
            self.view.nodes.intern(self.host_entry, parent, name, host::identity(stat), &attributes)?;
        // The inode number may be that of a file just removed, whose attributes another thread stored after its removal.
        if node.with_attr_cache(|cache| cache.current()) != Some(attributes) {
            node.with_attr_cache(AttrCache::invalidate);
            node.blocks.begin(&FileBlocks::of(&attributes));
        }
        self.view.dir_cache.add(parent, name, Some(node.id));
        if attributes.kind == FileType::Directory && self.view.is_exclusive(&self.node) {
            self.view.dir_cache.begin(node.id);
        }
        self.view.invalidate(&self.node);
        Ok((Node::Host(node), attributes))
    }
}
