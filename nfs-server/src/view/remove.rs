//! Removes names. Open files whose directory is removed: `deleted.rs`.

use nix::unistd::UnlinkatFlags;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType};
use super::caller::Caller;
use super::error::Error;
use super::node::{HostNode, Node};
use super::writable::{Writable, check_old_name};
use super::{View, declared};

impl Writable<'_> {
    /// Removes the name of anything but a directory.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for the name of an entry, [`Error::IsDirectory`] for a directory.
    pub fn remove(&self, name: &[u8], caller: Caller<'_>) -> Result<(), Error> {
        check_old_name(name)?;
        let _changing = self.view.changing_names.lock();
        let directory = self.names(caller)?;
        if self.is_declared(name) {
            return Err(Error::ReadOnly);
        }
        let (identity, attributes) = self.known(name)?;
        if attributes.kind == FileType::Directory {
            return Err(Error::IsDirectory);
        }
        self.check_sticky(caller, attributes.permissions())?;
        {
            let _impersonation = self.impersonate(caller)?;
            nix::unistd::unlinkat(&*directory, name, UnlinkatFlags::NoRemoveDir)?;
        }
        self.name_removed(name, identity, attributes.links);
        Ok(())
    }

    /// Removes an empty directory. Files deleted while open do not count.
    ///
    /// # Errors
    /// [`Error::NotEmpty`]; [`Error::ReadOnly`] for the name of an entry.
    pub fn remove_directory(&self, name: &[u8], caller: Caller<'_>) -> Result<(), Error> {
        check_old_name(name)?;
        let _changing = self.view.changing_names.lock();
        let directory = self.names(caller)?;
        if self.is_declared(name) {
            return Err(Error::ReadOnly);
        }
        let (identity, attributes) = self.known(name)?;
        if attributes.kind != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        self.check_sticky(caller, attributes.permissions())?;
        let unlink = || -> Result<(), Error> {
            let _impersonation = self.impersonate(caller)?;
            Ok(nix::unistd::unlinkat(&*directory, name, UnlinkatFlags::RemoveDir)?)
        };
        match unlink() {
            Err(Error::NotEmpty | Error::Exists) => {
                self.orphan_deleted_files(&directory, name, caller)?;
                unlink()?;
            }
            result => result?,
        }
        self.name_removed(name, identity, attributes.links);
        Ok(())
    }

    /// The identity and attributes of the file that a name leads to, from the cache where possible.
    fn known(&self, name: &[u8]) -> Result<((u64, u64), Attributes), Error> {
        match self.view.child(&self.node, name)? {
            (Node::Host(node), attributes) => Ok((node.identity(), attributes)),
            (Node::Declared(_), _) => Err(Error::ReadOnly),
        }
    }

    /// A name was removed of a file that had `links` links.
    pub(crate) fn name_removed(&self, name: &[u8], identity: (u64, u64), links: u32) {
        let parent = self.node.id();
        self.view.deleted.forget(parent, name);
        self.view.dir_cache.remove(parent, name);
        self.view.invalidate(&self.node);
        let Some(node) = self.view.nodes.find(self.host_entry, identity) else { return };
        node.remove_location(parent, name);
        if links > 1 && node.kind != FileType::Directory {
            node.with_attr_cache(AttrCache::invalidate);
            return;
        }
        if node.orphan().is_some() {
            // An orphan: still open.
            node.with_attr_cache(AttrCache::invalidate);
            return self.view.nodes.forget_name(&node);
        }
        self.view.fds.forget(node.id);
        self.view.dir_cache.forget(node.id);
        self.view.forget(&node);
    }
}

impl View {
    /// Forgets a removed file, but not how much was written to it.
    pub(crate) fn forget(&self, node: &HostNode) {
        declared(&self.tree, node.host_entry).counters.written(node.counters.bytes_written());
        self.special_files.forget(node.identity());
        if let Some(quota) = &self.quota {
            quota.remove(&node.blocks);
        }
        self.nodes.forget(node);
    }
}
