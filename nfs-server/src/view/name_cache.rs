//! What a view remembers of the names in directories, and when it asks the host instead.
//!
//! Where nobody but the view changes anything, a name that was asked for once is not asked for again, and neither is
//! one that is known not to be there.

use std::sync::Arc;

use parking_lot::Mutex;

use super::attributes::Attributes;
use super::blocking::Blocking;
use super::dir_index::{CachedName, DirIndex};
use super::error::Error;
use super::host;
use super::node::{Name, Node, NodeId};
use super::tree::NodeKind;
use super::{View, declared};
use crate::limits::{CLOCK_TICK, LARGE_DIRECTORY, LOOKUPS_BEFORE_READDIR, PREFETCH_NAMES_MAX};

impl View {
    /// A name in a directory, without asking whether the caller may look.
    pub(crate) fn child(&self, directory: &Node, name: &[u8]) -> Result<(Node, Attributes), Error> {
        if let Node::Declared(index) = directory {
            let entry = declared(&self.tree, *index);
            if let Some(child) = entry.child(name) {
                return self.with_attributes(Node::Declared(child));
            }
            if !matches!(entry.kind, NodeKind::HostEntry(_)) {
                return Err(Error::NotFound);
            }
        }
        if !self.is_exclusive(directory) {
            return self.stat_child(directory, name);
        }
        let index = self.index(directory);
        let changes = match index.lock().recall(name) {
            // In another case, or composed of other characters, it may be there.
            CachedName::Absent if !self.case_sensitive(directory) || self.may_be_normalized(name) => {
                return self.stat_child(directory, name);
            }
            CachedName::Absent => return Err(Error::NotFound),
            CachedName::Node(id) => Err(id),
            CachedName::Unknown { changes } => Ok(changes),
        };
        match changes {
            Err(id) => self.recall(id).map_or_else(|| self.stat_child(directory, name), Ok),
            Ok(changes) => {
                let found = self.stat_child(directory, name)?;
                index.lock().set_node(name, found.0.id(), changes);
                Ok(found)
            }
        }
    }

    /// Whether the host may know a name by other bytes: as HFS+ and APFS take letters with their marks composed and
    /// decomposed for the same, whether they tell case or not.
    fn may_be_normalized(&self, name: &[u8]) -> bool {
        self.capabilities.normalizes_names && !name.is_ascii()
    }

    /// A node that a name was known to lead to, unless it is gone.
    pub(crate) fn recall(&self, id: NodeId) -> Option<(Node, Attributes)> {
        self.with_attributes(Node::Host(self.nodes.get(id)?)).ok()
    }

    /// Asks the host for a name in one of its directories.
    pub(crate) fn stat_child(&self, directory: &Node, name: impl Name) -> Result<(Node, Attributes), Error> {
        let holder = self.directory(directory.id())?;
        let stat = host::stat(&*holder, name.as_ref())?;
        let attributes = self.host_attributes(&stat);
        let identity = host::identity(&stat);
        let node = self.nodes.intern(directory.entry_index(), directory.id(), name, identity, &attributes)?;
        if !self.is_exclusive(directory) {
            node.with_attr_cache(|cache| cache.store(cache.generation(), &attributes));
            return Ok((Node::Host(node), attributes));
        }
        // It may have been known before, by another name, and may have changed since the host was asked just now.
        self.with_attributes(Node::Host(node))
    }

    pub(crate) fn with_attributes(&self, node: Node) -> Result<(Node, Attributes), Error> {
        let attributes = self.attributes(&node)?;
        Ok((node, attributes))
    }

    pub(crate) fn index(&self, directory: &Node) -> Arc<Mutex<DirIndex>> {
        self.dir_cache.of(directory.id(), self.is_fixed(directory))
    }

    /// Reads all names of a directory when several were asked for one by one, unless there are very many.
    pub(crate) fn prefetch_names(&self, directory: &Node) -> Result<(), Error> {
        if !self.is_exclusive(directory) {
            return Ok(());
        }
        let index = self.index(directory);
        {
            let mut index = index.lock();
            if index.is_loaded() || index.lookups >= LOOKUPS_BEFORE_READDIR {
                return Ok(());
            }
            index.lookups += 1;
            if index.lookups < LOOKUPS_BEFORE_READDIR {
                return Ok(());
            }
        }
        self.fill_index(directory, &index, PREFETCH_NAMES_MAX)
    }

    /// Reads the names where a listing starts, unless nothing has changed since they were read. A listing that goes
    /// on needs no second look: the view's own changes have been noted in it.
    pub(crate) fn load_names(
        &self,
        directory: &Node,
        index: &Arc<Mutex<DirIndex>>,
        starts: bool,
        blocking: Blocking,
    ) -> Result<(), Error> {
        if index.lock().is_loaded() && (self.is_exclusive(directory) || !starts) {
            return Ok(());
        }
        blocking.check(self.attributes(directory)?.size >= LARGE_DIRECTORY)?;
        self.fill_index(directory, index, usize::MAX)
    }

    fn fill_index(&self, directory: &Node, index: &Arc<Mutex<DirIndex>>, most: usize) -> Result<(), Error> {
        // A name that came while the host is asked must not be taken for one that went.
        let _changing = self.is_writable(directory).then(|| self.changing_names.lock());
        let attributes = self.attributes(directory)?;
        let version = (attributes.modified, attributes.changed);
        if index.lock().is_current(version) {
            return Ok(());
        }
        let Some(names) = host::names(&*self.directory(directory.id())?, most)? else { return Ok(()) };
        let count = names.len();
        index.lock().refresh(names, version);
        if !self.is_exclusive(directory) && attributes.changed.is_within(CLOCK_TICK) {
            // What the host does next may leave the directory with the same times: the names are read again then.
            index.lock().expire();
        }
        if self.is_fixed(directory) {
            self.dir_cache.grew(directory.id(), index, count);
        }
        Ok(())
    }
}
