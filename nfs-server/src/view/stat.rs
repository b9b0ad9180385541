//! Attributes of nodes and the text of links.

use super::attributes::{Attributes, Kind, Permissions};
use super::caller::{Caller, Want};
use super::error::Error;
use super::node::Node;
use super::seen::{Before, Seen};
use super::spec::{Access, Owner};
use super::tree::{Branch, Shape};
use super::{View, declared};

/// What a declared directory takes on a disk, as programs expect some number.
const DIRECTORY_SIZE: u64 = 4096;

impl View {
    /// The attributes of a node.
    ///
    /// # Errors
    /// [`Error::Stale`] when the host no longer has it.
    pub fn attributes(&self, node: &Node) -> Result<Attributes, Error> {
        let current = self.is_exclusive(node).then(|| self.seen(node, |seen| seen.current()));
        match current.flatten().flatten() {
            Some(current) => Ok(current),
            None => self.look(node),
        }
    }

    /// The attributes of a node as the host has them now.
    fn look(&self, node: &Node) -> Result<Attributes, Error> {
        let Some(asked) = self.seen(node, |seen| seen.asked()) else {
            return Ok(self.synthetic_attributes(node.part()));
        };
        let stat = match (node, self.branch(node)) {
            (Node::Host(host_node), _) => match host_node.orphan() {
                Some(file) => nix::sys::stat::fstat(&*file)?,
                None => self.locate(host_node)?.stat,
            },
            (Node::Declared(_), Some(branch)) => self.locate_branch(branch)?.stat,
            (Node::Declared(index), None) => return Ok(self.synthetic_attributes(*index)),
        };
        let mut attributes = self.host_attributes(&stat);
        if let Node::Declared(index) = node {
            // The host does not have the entries that lie in a scratch.
            let entries = declared(&self.tree, *index).directories;
            attributes.links = attributes.links.saturating_add(entries);
        }
        self.seen(node, |seen| seen.answered(asked, &attributes));
        Ok(attributes)
    }

    /// What is known of a node's attributes; nothing when no host file backs it.
    pub(crate) fn seen<T>(&self, node: &Node, look: impl FnOnce(&mut Seen) -> T) -> Option<T> {
        match node {
            Node::Host(node) => Some(node.seen(look)),
            Node::Declared(_) => self.branch(node).map(|branch| look(&mut branch.seen.lock())),
        }
    }

    /// Takes note that a node was changed: what is known of it no longer holds.
    pub(crate) fn outdate(&self, node: &Node) {
        self.seen(node, Seen::outdate);
    }

    /// What a node is.
    #[must_use]
    pub fn kind(&self, node: &Node) -> Kind {
        match node {
            Node::Host(node) => node.kind,
            Node::Declared(index) => declared(&self.tree, *index).shape.kind(),
        }
    }

    /// Mode and owner, as last seen: nobody else changes them.
    pub(crate) fn permissions(&self, node: &Node) -> Result<Permissions, Error> {
        let last = self.seen(node, |seen| seen.last()).flatten();
        last.map_or_else(|| self.attributes(node), Ok).map(|attributes| attributes.permissions())
    }

    /// What was last told of a node: how the next change finds it, since every change comes through the view.
    #[must_use]
    pub fn before(&self, node: &Node) -> Option<Before> {
        self.seen(node, |seen| seen.last()).flatten().map(Before::from)
    }

    /// Whether the caller may do that with the node. Nobody may write a file where the view is read-only.
    ///
    /// # Errors
    /// [`Error::Stale`] when the host no longer has it.
    pub fn may(&self, node: &Node, caller: Caller<'_>, want: Want) -> Result<bool, Error> {
        let kind = self.kind(node);
        // Only of files: opening one is refused here and now, rather than the write long after. Names in a directory
        // are left to the procedures, which say that the file system is read-only; a device holds no data.
        let holds_data = kind == Kind::Regular;
        if want == Want::Write && holds_data && !self.is_writable(node) {
            return Ok(false);
        }
        self.allows(node, caller, want)
    }

    /// Whether nobody changes the node, not even on the host.
    pub(crate) fn is_fixed(&self, node: &Node) -> bool {
        self.branch(node).is_some_and(|branch| branch.access == Access::Fixed)
    }

    /// Whether nobody changes the node but through the view.
    pub(crate) fn is_exclusive(&self, node: &Node) -> bool {
        self.branch(node).is_some_and(Branch::is_exclusive)
    }

    /// Whether anybody may change the node.
    pub(crate) fn is_writable(&self, node: &Node) -> bool {
        self.branch(node).is_some_and(|branch| branch.access == Access::Rw)
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the node is something else.
    pub fn read_link(&self, node: &Node) -> Result<Vec<u8>, Error> {
        if self.kind(node) != Kind::Symlink {
            return Err(Error::Invalid);
        }
        let located = match (node, self.branch(node)) {
            (Node::Host(node), _) => self.locate(node)?,
            (Node::Declared(_), Some(branch)) => self.locate_branch(branch)?,
            (Node::Declared(index), None) => match &declared(&self.tree, *index).shape {
                Shape::Symlink { target } => return Ok(target.to_vec()),
                _ => return Err(Error::Invalid),
            },
        };
        let target = nix::fcntl::readlinkat(&*located.directory, &*located.name)?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(target))
    }

    /// Whether names that differ in case only are two names to the file system behind a node; behind one that only
    /// the view has, to that of the first scratch.
    #[must_use]
    pub fn tells_case(&self, node: &Node) -> bool {
        match self.branch(node) {
            Some(branch) => branch.tells_case,
            None => self.tree.tells_case,
        }
    }

    fn synthetic_attributes(&self, index: usize) -> Attributes {
        let entry = declared(&self.tree, index);
        let (mode, size, links, device) = match &entry.shape {
            Shape::Directory { mode, .. } => (*mode, DIRECTORY_SIZE, 2 + entry.directories, (0, 0)),
            Shape::Inline { contents, mode } => (*mode, contents.len() as u64, 1, (0, 0)),
            Shape::Symlink { target } => (0o777, target.len() as u64, 1, (0, 0)),
            Shape::Device { major, minor, mode, .. } => (*mode, 0, 1, (*major, *minor)),
            Shape::Branch(_) => (0, 0, 1, (0, 0)),
        };
        let owner = match &entry.shape {
            Shape::Directory { owner, .. } | Shape::Device { owner, .. } => *owner,
            _ => Owner::default(),
        };
        Attributes {
            kind: self.kind(&Node::Declared(index)),
            mode,
            links,
            uid: owner.uid,
            gid: owner.gid,
            size,
            used: size,
            device,
            fileid: self.fileids.of_path(&self.tree.path(index)),
            // What only the view has was made with it.
            accessed: self.opened,
            modified: self.opened,
            changed: self.opened,
        }
    }
}
