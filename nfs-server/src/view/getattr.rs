//! The attributes of nodes, from the cache or from the host.

use defences::Defence;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType, Permissions};
use super::error::Error;
use super::node::Node;
use super::spec::{Access, Owner};
use super::tree::{HostEntry, NodeKind};
use super::{View, declared};

/// The size of a declared directory: some programs expect more than 0.
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

    /// The attributes of a node from the host.
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
            // Entries in a scratch are not on the host.
            let entries = declared(&self.tree, *index).directories;
            attributes.links = attributes.links.saturating_add(entries);
            if let Some(owner) = self.host_entry(node).and_then(|host_entry| host_entry.shown_owner) {
                (attributes.uid, attributes.gid) = (owner.uid, owner.gid);
            }
        }
        self.with_attr_cache(node, |cache| cache.store(generation, &attributes));
        Ok(attributes)
    }

    /// Accesses a node's attribute cache; `None` for nodes without a host file.
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

    /// A node was changed: its cached attributes are invalid.
    pub(crate) fn invalidate(&self, node: &Node) {
        self.with_attr_cache(node, AttrCache::invalidate);
    }

    /// The type of a node.
    #[must_use]
    pub fn kind(&self, node: &Node) -> FileType {
        match node {
            Node::Host(node) => node.kind,
            Node::Declared(index) => declared(&self.tree, *index).kind.kind(),
        }
    }

    /// Mode and owner, as last seen.
    pub(crate) fn permissions(&self, node: &Node) -> Result<Permissions, Error> {
        let last = self.with_attr_cache(node, |cache| cache.last()).flatten();
        last.map_or_else(|| self.attributes(node), Ok).map(|attributes| attributes.permissions())
    }

    /// The attributes that were last given out, still valid or not. No system call.
    #[must_use]
    pub fn last_attributes(&self, node: &Node) -> Option<Attributes> {
        self.with_attr_cache(node, |cache| cache.last()).flatten()
    }

    /// Whether the node lies in a fixed graft: not even the host changes it.
    pub(crate) fn is_fixed(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(|host_entry| host_entry.access == Access::Fixed)
    }

    /// Whether only the view changes the node.
    pub(crate) fn is_exclusive(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(HostEntry::is_exclusive)
    }

    /// Whether the node lies in a writable part of the view.
    #[must_use]
    pub fn is_writable(&self, node: &Node) -> bool {
        let writable = |access| access == Access::Rw || !Defence::ReadOnlyGrafts.stands();
        self.host_entry(node).is_some_and(|host_entry| writable(host_entry.access))
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
        let opened = self.clock.shown(self.opened);
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
            // Declared nodes were created with the view.
            accessed: opened,
            modified: opened,
            changed: opened,
        }
    }
}
