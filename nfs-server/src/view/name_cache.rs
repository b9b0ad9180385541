//! Name lookups, from the directory indices or from the host.
//!
//! Where only the view changes a directory, names are looked up on the host once; absent names are cached too.

use std::sync::Arc;

use parking_lot::Mutex;

use super::attributes::Attributes;
use super::blocking::Blocking;
use super::dir_index::{CachedName, DirIndex};
use super::error::Error;
use super::host;
use super::node::{EntryName, Node, NodeId};
use super::phantom::leads_on;
use super::tree::{HostEntry, NodeKind};
use super::{View, declared};
use crate::limits::{
    CLOCK_TICK, DIR_INDEX_NAMES_MAX, LARGE_DIRECTORY, LOOKUPS_BEFORE_READDIR, PREFETCH_NAMES_MAX,
};

impl View {
    /// Looks up a name in a directory, without a permission check.
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
        let index = self.dir_index(directory);
        let changes = match index.lock().get(name) {
            // The host may have it in another case or normalization form.
            CachedName::Absent if !self.case_sensitive(directory) || self.may_be_normalized(name) => {
                return self.stat_child(directory, name);
            }
            CachedName::Absent => return Err(Error::NotFound),
            CachedName::Node(id) => Err(id),
            CachedName::Unknown { changes } => Ok(changes),
        };
        match changes {
            Err(id) => self.cached_node(id).map_or_else(|| self.stat_child(directory, name), Ok),
            Ok(changes) => {
                let found = self.stat_child(directory, name)?;
                index.lock().set_node(name, found.0.id(), changes);
                Ok(found)
            }
        }
    }

    /// Whether the host may store a name with other bytes: HFS+ and APFS are insensitive to Unicode normalization.
    fn may_be_normalized(&self, name: &[u8]) -> bool {
        self.capabilities.normalizes_names && !name.is_ascii()
    }

    /// The node that a name was cached with, unless it was removed.
    pub(crate) fn cached_node(&self, id: NodeId) -> Option<(Node, Attributes)> {
        self.with_attributes(Node::Host(self.nodes.get(id)?)).ok()
    }

    /// Looks up a name on the host.
    pub(crate) fn stat_child(
        &self,
        directory: &Node,
        name: impl EntryName,
    ) -> Result<(Node, Attributes), Error> {
        let holder = self.directory(directory.id())?;
        let stat = host::stat(&*holder, name.as_ref())?;
        if self.host_entry(directory).is_some_and(HostEntry::is_phantom)
            && !leads_on(&*holder, name.as_ref(), &stat)
        {
            return Err(Error::NotFound);
        }
        let attributes = self.host_attributes(&stat);
        let identity = host::identity(&stat);
        let node = self.nodes.intern(directory.entry_index(), directory.id(), name, identity, &attributes)?;
        if !self.is_exclusive(directory) {
            node.with_attr_cache(|cache| cache.store(cache.generation(), &attributes));
            return Ok((Node::Host(node), attributes));
        }
        // A known node (another link to it) may have changed since the stat.
        self.with_attributes(Node::Host(node))
    }

    pub(crate) fn with_attributes(&self, node: Node) -> Result<(Node, Attributes), Error> {
        let attributes = self.attributes(&node)?;
        Ok((node, attributes))
    }

    pub(crate) fn dir_index(&self, directory: &Node) -> Arc<Mutex<DirIndex>> {
        self.dir_cache.of(directory.id(), self.is_fixed(directory))
    }

    /// Reads a whole directory after several lookups in it, unless it is very large.
    pub(crate) fn prefetch_names(&self, directory: &Node) -> Result<(), Error> {
        if !self.is_exclusive(directory) {
            return Ok(());
        }
        let index = self.dir_index(directory);
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
        match self.fill_index(directory, &index, PREFETCH_NAMES_MAX) {
            Ok(_) | Err(Error::Quota) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads the names at the start of a readdir, unless they are current. One that continues uses the same index, which the
    /// view's own changes keep up to date.
    ///
    /// # Errors
    /// [`Error::Quota`] when there are too many names.
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
        if self.fill_index(directory, index, DIR_INDEX_NAMES_MAX)? { Ok(()) } else { Err(Error::Quota) }
    }

    /// Reads the names of a directory into its index, unless they are current; false if there are more than `most`.
    fn fill_index(&self, directory: &Node, index: &Arc<Mutex<DirIndex>>, most: usize) -> Result<bool, Error> {
        // A name created during the read must not be taken for a removed one.
        let _changing = self.is_writable(directory).then(|| self.changing_names.lock());
        let attributes = self.attributes(directory)?;
        let version = (attributes.modified, attributes.changed);
        if index.lock().is_current(version) {
            return Ok(true);
        }
        let Some(names) = host::names(&*self.directory(directory.id())?, most)? else { return Ok(false) };
        let count = names.len();
        {
            let mut index = index.lock();
            if !self.is_fixed(directory) {
                self.dir_cache.reserve(&index, count)?;
            }
            index.refresh(names, version);
        }
        if !self.is_exclusive(directory) && attributes.changed.is_within(CLOCK_TICK) {
            // A change within the same clock tick would leave the same times: read the names again next time.
            index.lock().expire();
        }
        if self.is_fixed(directory) {
            self.dir_cache.grew(directory.id(), index, count);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller::Caller;
    use super::super::spec::{Access, Entry, ViewSpec};
    use super::*;

    #[test]
    fn a_directory_of_more_names_than_there_is_room_for_is_not_listed_unless_it_cannot_change() {
        let host = tempfile::tempdir().unwrap();
        std::fs::write(host.path().join("file"), "").unwrap();
        let graft = |at: &str, access| {
            let source = host.path().into();
            Entry::Graft { at: at.into(), source, access, optional: false }
        };
        let entries = vec![graft("/changes", Access::Ro), graft("/fixed", Access::Fixed)];
        let view = View::open(&ViewSpec { entries }, None).unwrap();
        let list = |name: &[u8]| {
            let (directory, _) = view.lookup(&view.root(), name, Caller::ROOT)?;
            view.readdir(&directory, 0, Caller::ROOT, Blocking::Allowed, &mut |_| true)
        };
        let mut others = DirIndex::new(false, None);
        view.dir_cache.reserve(&others, DIR_INDEX_NAMES_MAX).unwrap();
        others.set_loaded(DIR_INDEX_NAMES_MAX);
        assert_eq!(list(b"changes"), Err(Error::Quota));
        assert_eq!(list(b"fixed"), Ok(true), "its names can be dropped");
        view.dir_cache.reserve(&others, DIR_INDEX_NAMES_MAX - 1).unwrap();
        assert_eq!(list(b"changes"), Ok(true));
    }
}
