//! The right to change a node: a type that exists only where the view is writable.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::acting::Acting;
use super::attributes::{Attributes, Kind, Permissions};
use super::caller::Caller;
use super::error::Error;
use super::lookup::check_name;
use super::node::Node;
use super::set::{SetAttributes, check_allowed};
use super::sink::Decision;
use super::tree::Branch;
use super::{View, declared};

/// A node that may be changed, as far as its mode lets the caller.
pub struct Writable<'v> {
    pub(crate) view: &'v View,
    pub(crate) node: Node,
    /// The declared node whose host files it belongs to.
    pub(crate) branch: usize,
}

impl View {
    /// The right to change a node.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] wherever the view is read-only, for everybody.
    pub fn writable(&self, node: Node) -> Result<Writable<'_>, Error> {
        if !self.is_writable(&node) {
            if let Some(sink) = &self.sink {
                sink.observe(Decision::Refused, &|| self.path(&node));
            }
            return Err(Error::ReadOnly);
        }
        let branch = node.part();
        Ok(Writable { view: self, node, branch })
    }

    /// The right to change the names in a directory.
    ///
    /// # Errors
    /// [`Error::Access`] where the mode alone would refuse it, as for whoever meets no read-only file system;
    /// otherwise as [`View::writable`].
    pub fn writable_names(&self, node: &Node, caller: Caller<'_>) -> Result<Writable<'_>, Error> {
        self.writable(node.clone()).map_err(|error| match self.permissions(node) {
            Ok(permissions) => caller.check_names(permissions).err().unwrap_or(error),
            Err(_) => error,
        })
    }

    /// The right to set these attributes.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Access`] where owner and mode alone would refuse it; otherwise as
    /// [`View::writable`].
    pub fn writable_attributes(
        &self,
        node: &Node,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<Writable<'_>, Error> {
        self.writable(node.clone()).map_err(|error| match self.permissions(node) {
            Ok(permissions) => check_allowed(set, permissions, caller).err().unwrap_or(error),
            Err(_) => error,
        })
    }

    /// Whether two nodes lie in the same part of the view, so that names may move from one to the other.
    #[must_use]
    pub fn same_part(&self, one: &Node, other: &Node) -> bool {
        one.part() == other.part()
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

    /// What the host files of this part of the view are for.
    pub(crate) fn branch(&self) -> Result<&Branch, Error> {
        self.view.branch(&self.node).ok_or(Error::ReadOnly)
    }

    /// The host's directory behind this one, when the caller may change the names in it.
    pub(crate) fn names(&self, caller: Caller<'_>) -> Result<Arc<OwnedFd>, Error> {
        if self.view.kind(&self.node) != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        self.view.check_names(&self.node, self.permissions()?, caller)?;
        self.view.directory(self.node.id())
    }

    /// Whether an entry of the view has this name here.
    pub(crate) fn is_declared(&self, name: &[u8]) -> bool {
        match &self.node {
            Node::Declared(index) => declared(&self.view.tree, *index).child(name).is_some(),
            Node::Host(_) => false,
        }
    }

    /// Whether the host's rules decide what the caller may do.
    pub(crate) fn host_decides(&self) -> bool {
        self.view.acts_on(&self.node)
    }

    /// Acts as the caller from here on, where the host's rules decide.
    pub(crate) fn act_as(&self, caller: Caller<'_>) -> Result<Acting, Error> {
        self.view.act_as(self.branch()?, caller)
    }

    /// In a directory with the sticky bit only its owner, the file's owner and root take a name away. Where the host's
    /// rules decide, it says so by itself.
    pub(crate) fn check_sticky(&self, caller: Caller<'_>, file: Permissions) -> Result<(), Error> {
        if self.host_decides() {
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

/// Refuses names that nothing can be given.
pub(crate) fn check_new_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Exists);
    }
    check_name(name)
}

/// Refuses names that cannot be taken away.
pub(crate) fn check_old_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Invalid);
    }
    check_name(name)
}
