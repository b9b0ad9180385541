//! Creates regular files.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::UnlinkatFlags;

use super::attributes::{Attributes, FileType, permission_bits};
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::fd_cache::{OpenFile, OpenMode};
use super::host;
use super::node::Node;
use super::quota::{self, FileBlocks};
use super::setattr::{SetAttributes, check_mode, resize};
use super::writable::{Writable, check_new_name};

/// What to do when the name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    /// Open the existing file, if it is a regular one.
    Unchecked,
    /// Fail, as `O_EXCL`.
    Guarded,
}

impl Writable<'_> {
    /// Creates a regular file in this directory, or opens the one that has the name.
    ///
    /// # Errors
    /// [`Error::Exists`] as `create` says; [`Error::NotPermitted`] for a mode with set-id bits.
    pub fn create(
        &self,
        name: &[u8],
        create: CreateMode,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        check_new_name(name)?;
        let mode = set.mode.unwrap_or(0o666);
        check_mode(mode)?;
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = match self.names(caller) {
            // Who may not create a file may still open an existing one, if it can be found.
            Err(Error::Access) if self.finds(name, caller)? => {
                return self.open_existing(name, create, set, caller);
            }
            directory => directory?,
        };
        self.view.nodes.check_room()?;
        let inode = match self.new_inode(&directory, name) {
            Err(Error::Exists) => return self.open_existing(name, create, set, caller),
            inode => inode?,
        };
        let made = {
            let _impersonation = self.impersonate(caller)?;
            host::create(&*directory, name, mode)
        };
        let file = match made {
            Err(Errno::EEXIST) => return self.open_existing(name, create, set, caller),
            file => file?,
        };
        let completed = self.complete(&file, mode, set, caller);
        let stat = completed.inspect_err(|_| self.discard(&directory, name, &file, caller))?;
        inode.keep();
        let (node, attributes) = self.admit(name, &stat)?;
        if let (Some(quota), Node::Host(node)) = (&self.view.quota, &node) {
            // Somebody who found it by its name may have written to it already.
            quota.raise(&node.blocks, quota::size(&file));
        }
        self.keep_open(&node, file, caller);
        self.set_rest(node, attributes, set, caller)
    }

    /// Whether the caller may look names up in this directory, and this one is there.
    fn finds(&self, name: &[u8], caller: Caller<'_>) -> Result<bool, Error> {
        let searches = self.view.allows(&self.node, caller, AccessMask::Execute)?;
        Ok(searches && host::stat(&*self.view.directory(self.node.id())?, name).is_ok())
    }

    fn open_existing(
        &self,
        name: &[u8],
        create: CreateMode,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        let (node, attributes) = self.view.child(&self.node, name)?;
        if create == CreateMode::Guarded || attributes.kind != FileType::Regular {
            return Err(Error::Exists);
        }
        let Some(size) = set.size else { return Ok((node, attributes)) };
        let only_size = SetAttributes { size: Some(size), ..SetAttributes::default() };
        let attributes = self.view.writable(node.clone())?.set(&only_size, caller)?;
        Ok((node, attributes))
    }

    /// Sets owner, length and mode of a file just created, as far as they differ.
    fn complete(
        &self,
        file: &OwnedFd,
        mode: u32,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<FileStat, Error> {
        if let Some((uid, gid)) = self.new_owner(caller) {
            nix::unistd::fchown(file, Some(uid), Some(gid))?;
        }
        if set.size.is_some_and(|size| size > 0) {
            self.resize_new(file, set.size_for_host()?)?;
        }
        let made = nix::sys::stat::fstat(file)?;
        if !self.lacks_bits(&made, mode) {
            return Ok(made);
        }
        nix::sys::stat::fchmod(file, permission_bits(mode))?;
        Ok(nix::sys::stat::fstat(file)?)
    }

    /// Removes a file that was just created: it cannot have the length or owner that was asked for, and a call that failed
    /// leaves nothing.
    fn discard(&self, directory: &OwnedFd, name: &[u8], file: &OwnedFd, caller: Caller<'_>) {
        let (Ok(made), Ok(found)) = (nix::sys::stat::fstat(file), host::stat(directory, name)) else {
            return;
        };
        let identity = host::identity(&made);
        if host::identity(&found) == identity
            && let Ok(_impersonation) = self.impersonate(caller)
            && nix::unistd::unlinkat(directory, name, UnlinkatFlags::NoRemoveDir).is_ok()
        {
            // Somebody may have found it by its name already.
            self.name_removed(name, identity, 1);
        }
    }

    /// It has no node yet that could be counted.
    fn resize_new(&self, file: &OwnedFd, size: i64) -> Result<(), Error> {
        let empty = FileBlocks::of_size(0);
        resize(self.view.quota.as_ref().map(|quota| (quota, &empty)), file, size)
    }

    fn keep_open(&self, node: &Node, descriptor: OwnedFd, caller: Caller<'_>) {
        let opener = self.host_checks_permissions().then_some(caller.uid);
        let file = OpenFile { descriptor, access: OpenMode::Both, opener };
        self.view.fds.files.insert(node.id(), file);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::View;
    use super::super::spec::{Entry, Owner, ViewSpec};
    use super::*;

    #[test]
    fn a_new_file_is_not_taken_for_one_that_went_and_had_its_number() {
        let host = tempfile::tempdir().unwrap();
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let at = "/build".into();
        let scratch = Entry::Scratch { at, source: host.path().into(), mode: 0o755, owner };
        let view = View::open(&ViewSpec { entries: vec![scratch] }, None).unwrap();
        let root = Caller { uid: 0, gid: 0, groups: &[] };
        let (build, _) = view.lookup(&view.root(), b"build", root).unwrap();
        let build = view.writable(build).unwrap();
        fs::write(host.path().join("new"), "contents").unwrap();
        let directory = view.directory(build.node().id()).unwrap();
        let stat = host::stat(&*directory, b"new").unwrap();
        let gone = Attributes { size: 99, ..view.host_attributes(&stat) };
        let parent = build.node().id();
        let late =
            view.nodes.intern(build.host_entry, parent, &b"old"[..], host::identity(&stat), &gone).unwrap();
        let (node, _) = build.admit(b"new", &stat).unwrap();
        assert_eq!(node.id(), late.id);
        assert_eq!(view.attributes(&node).unwrap().size, "contents".len() as u64);
    }
}
