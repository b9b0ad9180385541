//! Nodes, and the table of host nodes.

use std::hash::BuildHasher;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hashbrown::HashTable;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType};
use super::error::Error;
use super::quota::FileBlocks;
use super::use_counters::UseCounters;
use crate::limits::{LOCATIONS_MAX, NODES_MAX};

/// Host nodes are numbered from here; declared ones by their index in the tree, plus one.
const FIRST_HOST_ID: u64 = 1 << 32;

/// A node's number: never 0, never reused by a view.
pub type NodeId = u64;

/// A file in a view.
#[derive(Clone)]
pub enum Node {
    /// An entry, or a directory that leads to one: its index in the tree.
    Declared(usize),
    /// A file of the host below an entry.
    Host(Arc<HostNode>),
}

/// A host file that was looked up.
pub struct HostNode {
    pub(crate) id: NodeId,
    /// The declared node that it lies below.
    pub(crate) host_entry: usize,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) kind: FileType,
    /// What it was used for.
    pub(crate) counters: UseCounters,
    /// What it counts as in the view's quota.
    pub(crate) blocks: FileBlocks,
    state: Mutex<NodeState>,
}

/// A link to a host node: a directory and a name in it.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) parent: NodeId,
    pub(crate) name: Arc<[u8]>,
}

/// A name that is copied only when it is kept, and shared where it is kept already.
pub(crate) trait EntryName: AsRef<[u8]> + Into<Arc<[u8]>> {}

impl<N: AsRef<[u8]> + Into<Arc<[u8]>>> EntryName for N {}

struct NodeState {
    /// One place of a directory; of a file as many as there are links known. Most have one: it lies in here.
    locations: SmallVec<[Location; 1]>,
    attr_cache: AttrCache,
    /// The open file, if its last name was removed with its directory.
    orphan: Option<Arc<OwnedFd>>,
}

/// The host nodes of a view.
pub(crate) struct NodeTable {
    next: AtomicU64,
    /// How many there may be.
    most: usize,
    table: RwLock<Table>,
}

/// The nodes by what they are asked for. Their keys lie in the nodes alone: there may be hundreds of thousands.
#[derive(Default)]
struct Table {
    by_id: HashTable<Arc<HostNode>>,
    by_file: HashTable<Arc<HostNode>>,
}

/// A file of the host below a branch: branch, device and inode number.
type File = (usize, u64, u64);

impl Node {
    /// The node's number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        match self {
            Node::Declared(index) => *index as NodeId + 1,
            Node::Host(node) => node.id,
        }
    }

    /// The declared node that it is or lies below.
    pub(crate) fn entry_index(&self) -> usize {
        match self {
            Node::Declared(index) => *index,
            Node::Host(node) => node.host_entry,
        }
    }

    /// The index of a declared node, from its number.
    pub(crate) fn declared_index(id: NodeId) -> Option<usize> {
        (id < FIRST_HOST_ID).then(|| usize::try_from(id).ok()?.checked_sub(1)).flatten()
    }
}

impl HostNode {
    /// Accesses its cached attributes.
    pub(crate) fn with_attr_cache<T>(&self, look: impl FnOnce(&mut AttrCache) -> T) -> T {
        look(&mut self.state.lock().attr_cache)
    }

    /// The link that it was found by last.
    pub(crate) fn place(&self) -> Option<Location> {
        self.state.lock().locations.last().cloned()
    }

    /// All known links, the latest last.
    pub(crate) fn locations(&self) -> SmallVec<[Location; 1]> {
        self.state.lock().locations.clone()
    }

    pub(crate) fn add_location(&self, parent: NodeId, name: impl EntryName) {
        let mut state = self.state.lock();
        if state.locations.iter().any(|place| place.is(parent, name.as_ref())) {
            return;
        }
        if self.kind == FileType::Directory {
            state.locations.clear();
        }
        if state.locations.len() == LOCATIONS_MAX {
            // Not the first, the one that a file is most likely to keep.
            state.locations.remove(1);
        }
        state.locations.push(Location { parent, name: name.into() });
    }

    pub(crate) fn remove_location(&self, parent: NodeId, name: &[u8]) {
        self.state.lock().locations.retain(|place| !place.is(parent, name));
    }

    pub(crate) fn orphan(&self) -> Option<Arc<OwnedFd>> {
        self.state.lock().orphan.clone()
    }

    pub(crate) fn set_orphan(&self, file: Arc<OwnedFd>) {
        self.state.lock().orphan = Some(file);
    }

    /// Takes the descriptor of an orphan.
    pub(crate) fn take_orphan(&self) -> Option<Arc<OwnedFd>> {
        self.state.lock().orphan.take()
    }

    fn file(&self) -> File {
        (self.host_entry, self.device, self.inode)
    }

    /// Device and inode number.
    pub(crate) fn identity(&self) -> (u64, u64) {
        (self.device, self.inode)
    }
}

impl Location {
    fn is(&self, parent: NodeId, name: &[u8]) -> bool {
        self.parent == parent && *self.name == *name
    }
}

impl NodeTable {
    pub(crate) fn new() -> NodeTable {
        NodeTable { next: AtomicU64::new(FIRST_HOST_ID), most: NODES_MAX, table: RwLock::default() }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<Arc<HostNode>> {
        self.table.read().by_id(id).cloned()
    }

    /// Whether there is room for one more node.
    ///
    /// # Errors
    /// [`Error::Quota`].
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        if self.table.read().by_id.len() < self.most { Ok(()) } else { Err(Error::Quota) }
    }

    /// The node of a file just found below `host_entry` as `name` in `parent`. Of a node that is known already nothing is
    /// changed but its places: whether `attributes` are newer than what it knows cannot be told here.
    ///
    /// # Errors
    /// [`Error::Quota`] when there are too many nodes for a new one.
    pub(crate) fn intern(
        &self,
        host_entry: usize,
        parent: NodeId,
        name: impl EntryName,
        (device, inode): (u64, u64),
        attributes: &Attributes,
    ) -> Result<Arc<HostNode>, Error> {
        if let Some(node) = self.find(host_entry, (device, inode))
            && node.kind == attributes.kind
        {
            node.add_location(parent, name);
            return Ok(node);
        }
        let mut table = self.table.write();
        if let Some(node) = table.by_file((host_entry, device, inode)).cloned() {
            if node.kind == attributes.kind {
                node.add_location(parent, name);
                return Ok(node);
            }
            // The host removed the file and reused its inode number for one of another type.
            table.remove(&node);
        }
        if table.by_id.len() >= self.most {
            return Err(Error::Quota);
        }
        let node = Arc::new(HostNode {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            host_entry,
            device,
            inode,
            kind: attributes.kind,
            counters: UseCounters::default(),
            blocks: FileBlocks::of(attributes),
            state: Mutex::new(NodeState {
                locations: SmallVec::from_buf([Location { parent, name: name.into() }]),
                attr_cache: AttrCache::now(*attributes),
                orphan: None,
            }),
        });
        table.insert(&node);
        Ok(node)
    }

    /// Shows each, in no order.
    pub(crate) fn for_each(&self, look: impl FnMut(&Arc<HostNode>)) {
        self.table.read().by_id.iter().for_each(look);
    }

    /// The node of a host file below an entry, if it is in the table.
    pub(crate) fn find(&self, host_entry: usize, (device, inode): (u64, u64)) -> Option<Arc<HostNode>> {
        self.table.read().by_file((host_entry, device, inode)).cloned()
    }

    /// Forgets a removed file, whose inode number may be reused.
    pub(crate) fn forget(&self, node: &HostNode) {
        self.table.write().remove(node);
    }

    /// Forgets a file's inode number, but not its id: it is an orphan.
    pub(crate) fn forget_name(&self, node: &HostNode) {
        self.table.write().remove_from_table(node);
    }
}

impl Table {
    fn by_id(&self, id: NodeId) -> Option<&Arc<HostNode>> {
        self.by_id.find(FxBuildHasher.hash_one(id), |node| node.id == id)
    }

    fn by_file(&self, file: File) -> Option<&Arc<HostNode>> {
        self.by_file.find(FxBuildHasher.hash_one(file), |node| node.file() == file)
    }

    fn insert(&mut self, node: &Arc<HostNode>) {
        let (id, file) = (FxBuildHasher.hash_one(node.id), FxBuildHasher.hash_one(node.file()));
        self.by_id.insert_unique(id, Arc::clone(node), |node| FxBuildHasher.hash_one(node.id));
        self.by_file.insert_unique(file, Arc::clone(node), |node| FxBuildHasher.hash_one(node.file()));
    }

    fn remove(&mut self, node: &HostNode) {
        let hash = FxBuildHasher.hash_one(node.id);
        if let Ok(found) = self.by_id.find_entry(hash, |listed| listed.id == node.id) {
            found.remove();
        }
        self.remove_from_table(node);
    }

    fn remove_from_table(&mut self, node: &HostNode) {
        let hash = FxBuildHasher.hash_one(node.file());
        if let Ok(found) = self.by_file.find_entry(hash, |listed| listed.id == node.id) {
            found.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Time;

    fn attributes(kind: FileType) -> Attributes {
        Attributes {
            kind,
            mode: 0o644,
            links: 1,
            uid: 0,
            gid: 0,
            size: 0,
            used: 0,
            device: (0, 0),
            fileid: 1,
            accessed: Time::default(),
            modified: Time::default(),
            changed: Time::default(),
        }
    }

    fn names(node: &HostNode) -> Vec<(NodeId, String)> {
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        node.locations().iter().map(|place| (place.parent, text(&place.name))).collect()
    }

    #[test]
    fn a_file_keeps_its_first_link_and_the_latest() {
        let nodes = NodeTable::new();
        let node = nodes.intern(1, 1, &b"0"[..], (1, 1), &attributes(FileType::Regular)).unwrap();
        for link in 0..LOCATIONS_MAX + 2 {
            node.add_location(1, link.to_string().as_bytes());
        }
        let known = names(&node);
        assert_eq!(known.len(), LOCATIONS_MAX);
        assert_eq!(known[..2], [(1, "0".into()), (1, "3".into())]);
        assert_eq!(known.last(), Some(&(1, (LOCATIONS_MAX + 1).to_string())));
        node.remove_location(1, b"0");
        node.remove_location(2, b"3");
        assert_eq!(names(&node)[0], (1, "3".into()), "removed by directory and name");
    }

    #[test]
    fn a_directory_has_one_link() {
        let nodes = NodeTable::new();
        let node = nodes.intern(1, 1, &b"old"[..], (1, 1), &attributes(FileType::Directory)).unwrap();
        let again = nodes.intern(1, 2, &b"new"[..], (1, 1), &attributes(FileType::Directory)).unwrap();
        assert_eq!((again.id, names(&node)), (node.id, vec![(2, "new".into())]));
    }

    #[test]
    fn an_inode_number_that_is_reused_for_another_type_is_another_node() {
        let nodes = NodeTable::new();
        let file = nodes.intern(1, 1, &b"name"[..], (1, 1), &attributes(FileType::Regular)).unwrap();
        let link = nodes.intern(1, 1, &b"name"[..], (1, 1), &attributes(FileType::Symlink)).unwrap();
        assert_ne!(file.id, link.id);
        assert!(nodes.get(file.id).is_none() && nodes.get(link.id).is_some());
        let elsewhere = nodes.intern(2, 1, &b"name"[..], (1, 1), &attributes(FileType::Symlink)).unwrap();
        assert_ne!(elsewhere.id, link.id, "one node for each entry that shows it");
    }

    #[test]
    fn a_node_whose_name_is_forgotten_is_found_by_its_id_alone() {
        let nodes = NodeTable::new();
        let node = nodes.intern(1, 1, &b"name"[..], (1, 1), &attributes(FileType::Regular)).unwrap();
        nodes.forget_name(&node);
        assert!(nodes.find(1, (1, 1)).is_none() && nodes.get(node.id).is_some());
        nodes.forget(&node);
        assert!(nodes.get(node.id).is_none());
    }

    #[test]
    fn declared_and_host_nodes_have_ids_apart() {
        assert_eq!(Node::declared_index(Node::Declared(0).id()), Some(0));
        assert_eq!(Node::declared_index(Node::Declared(41).id()), Some(41));
        assert_eq!(Node::declared_index(0), None, "0 is no id");
        let first = NodeTable::new().intern(1, 1, &b"a"[..], (1, 1), &attributes(FileType::Regular)).unwrap();
        assert_eq!(Node::declared_index(first.id), None);
    }

    #[test]
    fn one_node_too_many_is_refused_until_another_is_no_more() {
        let nodes = NodeTable { most: 2, ..NodeTable::new() };
        let attributes = attributes(FileType::Regular);
        let find = |inode| nodes.intern(1, 1, &b"name"[..], (1, inode), &attributes).map(|node| node.id);
        let first = find(1).unwrap();
        find(2).unwrap();
        assert_eq!((find(3), nodes.check_room()), (Err(Error::Quota), Err(Error::Quota)));
        assert_eq!(find(1), Ok(first), "what is known is found");
        nodes.forget(&nodes.get(first).unwrap());
        assert!(find(3).is_ok());
    }
}
