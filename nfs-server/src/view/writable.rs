//! [`Writable`], a node that may be changed: it exists only where the view is writable.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::attributes::{Attributes, FileType, Permissions};
use super::caller::Caller;
use super::error::Error;
use super::host;
use super::impersonate::Impersonation;
use super::lookup::check_name;
use super::node::Node;
use super::observer::LookupOutcome;
use super::quota::{FileBlocks, NewInode, QuotaCounters};
use super::tree::HostEntry;
use super::{View, declared};

/// A node that may be changed, as far as its mode lets the caller.
pub struct Writable<'v> {
    pub(crate) view: &'v View,
    pub(crate) node: Node,
    /// The declared node whose host files it belongs to.
    pub(crate) host_entry: usize,
}

impl View {
    /// A node as a writable one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] wherever the view is read-only, for everybody.
    pub fn writable(&self, node: Node) -> Result<Writable<'_>, Error> {
        if self.is_writable(&node) {
            let host_entry = node.entry_index();
            return Ok(Writable { view: self, node, host_entry });
        }
        if let Some(observer) = &self.observer {
            observer.observe(LookupOutcome::ChangeRefused, &|| self.path(&node));
        }
        Err(Error::ReadOnly)
    }

    /// A directory, to change a name in it.
    ///
    /// # Errors
    /// [`Error::Access`] if the mode would refuse it anyway; otherwise [`Error::ReadOnly`], as [`View::writable`].
    pub fn writable_names(
        &self,
        node: &Node,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<Writable<'_>, Error> {
        if self.is_writable(node) {
            return self.writable(node.clone());
        }
        self.refuse_change(node, name);
        self.permissions(node).and_then(|permissions| caller.check_names(permissions))?;
        Err(Error::ReadOnly)
    }

    /// Tells the observer that a name was not changed.
    pub(crate) fn refuse_change(&self, directory: &Node, name: &[u8]) {
        if let Some(observer) = &self.observer {
            let path = || self.path(directory).join(OsStr::from_bytes(name));
            observer.observe(LookupOutcome::ChangeRefused, &path);
        }
    }

    /// Whether two nodes lie in the same part of the view, so that names may move from one to the other.
    #[must_use]
    pub fn same_entry(&self, one: &Node, other: &Node) -> bool {
        one.entry_index() == other.entry_index()
    }
}

impl Writable<'_> {
    /// The node itself.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its attributes after what was done.
    ///
    /// # Errors
    /// As [`View::attributes`].
    pub fn attributes(&self) -> Result<Attributes, Error> {
        self.view.attributes(&self.node)
    }

    pub(crate) fn permissions(&self) -> Result<Permissions, Error> {
        self.view.permissions(&self.node)
    }

    /// The entry that it belongs to.
    pub(crate) fn host_entry(&self) -> Result<&HostEntry, Error> {
        self.view.host_entry(&self.node).ok_or(Error::ReadOnly)
    }

    /// The host's directory behind this one, when the caller may change the names in it.
    pub(crate) fn names(&self, caller: Caller<'_>) -> Result<Arc<OwnedFd>, Error> {
        if self.view.kind(&self.node) != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        self.view.check_names(&self.node, self.permissions()?, caller)?;
        self.view.directory(self.node.id())
    }

    /// A name in this directory was not changed: tells the observer, if the caller was not allowed to.
    pub(crate) fn refused(&self, name: &[u8], error: Error) {
        if matches!(error, Error::Access | Error::NotPermitted | Error::ReadOnly) {
            self.view.refuse_change(&self.node, name);
        }
    }

    /// Whether an entry of the view has this name here.
    pub(crate) fn is_declared(&self, name: &[u8]) -> bool {
        match &self.node {
            Node::Declared(index) => declared(&self.view.tree, *index).child(name).is_some(),
            Node::Host(_) => false,
        }
    }

    /// Whether the host checks permissions.
    pub(crate) fn host_checks_permissions(&self) -> bool {
        self.view.impersonates_on(&self.node)
    }

    /// Impersonates the caller, where the host checks permissions.
    pub(crate) fn impersonate(&self, caller: Caller<'_>) -> Result<Impersonation, Error> {
        self.view.impersonate(self.host_entry()?, caller)
    }

    /// The view's quota and what this file counts as in it, if there is one.
    pub(crate) fn quota(&self) -> Option<(&QuotaCounters, &FileBlocks)> {
        let blocks = match &self.node {
            Node::Host(node) => &node.blocks,
            Node::Declared(_) => &self.view.host_entry(&self.node)?.blocks,
        };
        Some((self.view.quota.as_ref()?, blocks))
    }

    /// Takes an inode of the view's quota for a new name in a directory.
    ///
    /// # Errors
    /// [`Error::NoSpace`], but [`Error::Exists`] when the name is taken, which would not need one.
    pub(crate) fn new_inode(&self, directory: &OwnedFd, name: &[u8]) -> Result<NewInode<'_>, Error> {
        let Some(quota) = &self.view.quota else { return Ok(NewInode::unlimited()) };
        quota.new_inode().map_err(|refused| match host::stat(directory, name) {
            Ok(_) => Error::Exists,
            Err(_) => refused.error(),
        })
    }

    /// In a sticky directory only its owner, the file's owner and root may remove a name. Not checked where the host does it.
    pub(crate) fn check_sticky(&self, caller: Caller<'_>, file: Permissions) -> Result<(), Error> {
        if self.host_checks_permissions() {
            return Ok(());
        }
        let directory = self.permissions()?;
        let sticky = directory.mode & 0o1000 != 0;
        if sticky && !caller.owns(directory) && !caller.owns(file) {
            return Err(Error::NotPermitted);
        }
        Ok(())
    }
}

/// Refuses names that cannot be created.
pub(crate) fn check_new_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Exists);
    }
    check_name(name)
}

/// Refuses names that cannot be removed.
pub(crate) fn check_old_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Invalid);
    }
    check_name(name)
}
