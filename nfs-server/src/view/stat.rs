//! Attributes of nodes and the text of links.

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType, Permissions};
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::node::Node;
use super::spec::{Access, Owner};
use super::tree::{HostEntry, NodeKind};
use super::{View, declared};

/// What a declared directory takes on a disk, as programs expect some number.
const DIRECTORY_SIZE: u64 = 4096;

impl View {
    /// The attributes of a node.
    ///
    /// # Errors
    /// [`Error::Stale`] when the host no longer has it.
    pub fn attributes(&self, node: &Node) -> Result<Attributes, Error> {
        let current = self.is_exclusive(node).then(|| self.with_attr_cache(node, |cache| cache.current()));
        match current.flatten().flatten() {
            Some(current) => Ok(current),
            None => self.look(node),
        }
    }

    /// The attributes of a node as the host has them now.
    fn look(&self, node: &Node) -> Result<Attributes, Error> {
        let Some(generation) = self.with_attr_cache(node, |cache| cache.generation()) else {
            return Ok(self.synthetic_attributes(node.entry_index()));
        };
        let stat = match (node, self.host_entry(node)) {
            (Node::Host(host_node), _) => match host_node.orphan() {
                Some(file) => nix::sys::stat::fstat(&*file)?,
                None => self.resolve(host_node)?.stat,
            },
            (Node::Declared(_), Some(host_entry)) => self.resolve_host_entry(host_entry)?.stat,
            (Node::Declared(index), None) => return Ok(self.synthetic_attributes(*index)),
        };
        let mut attributes = self.host_attributes(&stat);
        if let Node::Declared(index) = node {
            // The host does not have the entries that lie in a scratch.
            let entries = declared(&self.tree, *index).directories;
            attributes.links = attributes.links.saturating_add(entries);
        }
        self.with_attr_cache(node, |cache| cache.store(generation, &attributes));
        Ok(attributes)
    }

    /// What is known of a node's attributes; nothing when no host file backs it.
    pub(crate) fn with_attr_cache<T>(
        &self,
        node: &Node,
        look: impl FnOnce(&mut AttrCache) -> T,
    ) -> Option<T> {
        match node {
            Node::Host(node) => Some(node.with_attr_cache(look)),
            Node::Declared(_) => {
                self.host_entry(node).map(|host_entry| look(&mut host_entry.attr_cache.lock()))
            }
        }
    }

    /// Takes note that a node was changed: what is known of it no longer holds.
    pub(crate) fn invalidate(&self, node: &Node) {
        self.with_attr_cache(node, AttrCache::invalidate);
    }

    /// What a node is.
    #[must_use]
    pub fn kind(&self, node: &Node) -> FileType {
        match node {
            Node::Host(node) => node.kind,
            Node::Declared(index) => declared(&self.tree, *index).kind.kind(),
        }
    }

    /// Mode and owner, as last seen: nobody else changes them.
    pub(crate) fn permissions(&self, node: &Node) -> Result<Permissions, Error> {
        let last = self.with_attr_cache(node, |cache| cache.last()).flatten();
        last.map_or_else(|| self.attributes(node), Ok).map(|attributes| attributes.permissions())
    }

    /// The attributes that were last given out, still valid or not. No system call.
    #[must_use]
    pub fn last_attributes(&self, node: &Node) -> Option<Attributes> {
        self.with_attr_cache(node, |cache| cache.last()).flatten()
    }

    /// Whether the caller may do that with the node. Nobody may write a file where the view is read-only.
    ///
    /// # Errors
    /// [`Error::Stale`] when the host no longer has it.
    pub fn may(&self, node: &Node, caller: Caller<'_>, mask: AccessMask) -> Result<bool, Error> {
        let kind = self.kind(node);
        // Only of files: opening one is refused here and now, rather than the write long after. Names in a directory
        // are left to the procedures, which say that the file system is read-only; a device holds no data.
        let holds_data = kind == FileType::Regular;
        if mask == AccessMask::Write && holds_data && !self.is_writable(node) {
            return Ok(false);
        }
        self.allows(node, caller, mask)
    }

    /// Whether nobody changes the node, not even on the host.
    pub(crate) fn is_fixed(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(|host_entry| host_entry.access == Access::Fixed)
    }

    /// Whether nobody changes the node but through the view.
    pub(crate) fn is_exclusive(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(HostEntry::is_exclusive)
    }

    /// Whether anybody may change the node.
    pub(crate) fn is_writable(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(|host_entry| host_entry.access == Access::Rw)
    }

    /// The text of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the node is something else.
    pub fn read_link(&self, node: &Node) -> Result<Vec<u8>, Error> {
        if self.kind(node) != FileType::Symlink {
            return Err(Error::Invalid);
        }
        let resolved = match (node, self.host_entry(node)) {
            (Node::Host(node), _) => self.resolve(node)?,
            (Node::Declared(_), Some(host_entry)) => self.resolve_host_entry(host_entry)?,
            (Node::Declared(index), None) => match &declared(&self.tree, *index).kind {
                NodeKind::Symlink { target } => return Ok(target.to_vec()),
                _ => return Err(Error::Invalid),
            },
        };
        let target = nix::fcntl::readlinkat(&*resolved.directory, &*resolved.name)?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(target))
    }

    /// Whether names that differ in case only are two names to the file system behind a node; behind one that only
    /// the view has, to that of the first scratch.
    #[must_use]
    pub fn case_sensitive(&self, node: &Node) -> bool {
        match self.host_entry(node) {
            Some(host_entry) => host_entry.case_sensitive,
            None => self.tree.case_sensitive,
        }
    }

    fn synthetic_attributes(&self, index: usize) -> Attributes {
        let entry = declared(&self.tree, index);
        let (mode, size, links, device) = match &entry.kind {
            NodeKind::Directory { mode, .. } => (*mode, DIRECTORY_SIZE, 2 + entry.directories, (0, 0)),
            NodeKind::Inline { contents, mode } => (*mode, contents.len() as u64, 1, (0, 0)),
            NodeKind::Symlink { target } => (0o777, target.len() as u64, 1, (0, 0)),
            NodeKind::Device { major, minor, mode, .. } => (*mode, 0, 1, (*major, *minor)),
            NodeKind::HostEntry(_) => (0, 0, 1, (0, 0)),
        };
        let owner = match &entry.kind {
            NodeKind::Directory { owner, .. } | NodeKind::Device { owner, .. } => *owner,
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
