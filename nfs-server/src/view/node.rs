//! Nodes: what a handle resolves to, and the table of those that lie on the host.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::stat::FileStat;
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;

use super::attributes::{Attributes, Kind, Permissions, Time};
use super::host;
use crate::limits::PLACES_MAX;

/// Host nodes are numbered from here; declared ones by their index in the tree, plus one.
const FIRST_HOST_ID: u64 = 1 << 32;

/// A node's number: never 0, never used again while the view lives.
pub type NodeId = u64;

/// A place in a view.
#[derive(Clone)]
pub enum Node {
    /// An entry, or a directory that leads to one: its index in the tree.
    Declared(usize),
    /// A file of the host below an entry.
    Host(Arc<HostNode>),
}

/// A file of the host that somebody asked for.
pub struct HostNode {
    pub(crate) id: NodeId,
    /// The declared node that it lies below.
    pub(crate) branch: usize,
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) kind: Kind,
    state: Mutex<State>,
}

/// Where the host has a node: a directory and a name in it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) parent: NodeId,
    pub(crate) name: Arc<[u8]>,
}

/// What was last told of a node: the next change finds it like this, since all changes come through here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// Bytes in it.
    pub size: u64,
    /// Last change of the contents.
    pub modified: Time,
    /// Last change of contents or attributes.
    pub changed: Time,
}

struct State {
    /// One place of a directory; of a file as many as there are links known.
    places: Vec<Place>,
    /// What the host said last. Who changes a node through the view asks again, so this is also how it is.
    seen: Attributes,
    /// The file itself, once its last name went together with its directory.
    orphan: Option<Arc<OwnedFd>>,
}

/// The host nodes of a view.
pub(crate) struct Nodes {
    next: AtomicU64,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    by_id: FxHashMap<NodeId, Arc<HostNode>>,
    by_file: FxHashMap<(usize, u64, u64), Arc<HostNode>>,
}

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
    pub(crate) fn part(&self) -> usize {
        match self {
            Node::Declared(index) => *index,
            Node::Host(node) => node.branch,
        }
    }

    /// The index of a declared node, from its number.
    pub(crate) fn declared_index(id: NodeId) -> Option<usize> {
        (id < FIRST_HOST_ID).then(|| usize::try_from(id).ok()?.checked_sub(1)).flatten()
    }
}

impl HostNode {
    /// Takes note of what the host says now.
    pub(crate) fn saw(&self, attributes: &Attributes) {
        self.state.lock().seen = *attributes;
    }

    /// What the host said last.
    pub(crate) fn seen(&self) -> Attributes {
        self.state.lock().seen
    }

    pub(crate) fn permissions(&self) -> Permissions {
        self.state.lock().seen.permissions()
    }

    /// The place where it was found last.
    pub(crate) fn place(&self) -> Option<Place> {
        self.state.lock().places.last().cloned()
    }

    /// Every place where it was found, the latest last.
    pub(crate) fn places(&self) -> Vec<Place> {
        self.state.lock().places.clone()
    }

    pub(crate) fn add_place(&self, parent: NodeId, name: &[u8]) {
        let mut state = self.state.lock();
        if state.places.iter().any(|place| place.is(parent, name)) {
            return;
        }
        if self.kind == Kind::Directory {
            state.places.clear();
        }
        if state.places.len() == PLACES_MAX {
            state.places.remove(0);
        }
        state.places.push(Place { parent, name: name.into() });
    }

    pub(crate) fn remove_place(&self, parent: NodeId, name: &[u8]) {
        self.state.lock().places.retain(|place| !place.is(parent, name));
    }

    pub(crate) fn orphan(&self) -> Option<Arc<OwnedFd>> {
        self.state.lock().orphan.clone()
    }

    pub(crate) fn set_orphan(&self, file: Arc<OwnedFd>) {
        self.state.lock().orphan = Some(file);
    }

    /// Gives up the descriptor of a file without a name.
    pub(crate) fn take_orphan(&self) -> Option<Arc<OwnedFd>> {
        self.state.lock().orphan.take()
    }

    pub(crate) fn is(&self, stat: &FileStat) -> bool {
        host::identity(stat) == (self.device, self.inode) && Kind::of(stat.st_mode) == self.kind
    }
}

impl Place {
    fn is(&self, parent: NodeId, name: &[u8]) -> bool {
        self.parent == parent && *self.name == *name
    }
}

impl From<&Attributes> for Before {
    fn from(attributes: &Attributes) -> Before {
        Before { size: attributes.size, modified: attributes.modified, changed: attributes.changed }
    }
}

impl Nodes {
    pub(crate) fn new() -> Nodes {
        Nodes { next: AtomicU64::new(FIRST_HOST_ID), table: RwLock::default() }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<Arc<HostNode>> {
        self.table.read().by_id.get(&id).cloned()
    }

    /// The node of a file just found below `branch` as `name` in `parent`.
    pub(crate) fn intern(
        &self,
        branch: usize,
        parent: NodeId,
        name: &[u8],
        (device, inode): (u64, u64),
        attributes: &Attributes,
    ) -> Arc<HostNode> {
        let file = (branch, device, inode);
        if let Some(node) = self.table.read().by_file.get(&file)
            && node.kind == attributes.kind
        {
            let node = Arc::clone(node);
            node.add_place(parent, name);
            node.saw(attributes);
            return node;
        }
        let mut table = self.table.write();
        if let Some(node) = table.by_file.get(&file).cloned() {
            if node.kind == attributes.kind {
                node.add_place(parent, name);
                node.saw(attributes);
                return node;
            }
            // The host gave the number of a file that went without our doing to one of another type.
            table.by_id.remove(&node.id);
        }
        let node = Arc::new(HostNode {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            branch,
            device,
            inode,
            kind: attributes.kind,
            state: Mutex::new(State {
                places: vec![Place { parent, name: name.into() }],
                seen: *attributes,
                orphan: None,
            }),
        });
        table.by_id.insert(node.id, Arc::clone(&node));
        table.by_file.insert(file, Arc::clone(&node));
        node
    }

    /// The node of a host file below `branch`, when somebody asked for it before.
    pub(crate) fn find(&self, branch: usize, (device, inode): (u64, u64)) -> Option<Arc<HostNode>> {
        self.table.read().by_file.get(&(branch, device, inode)).cloned()
    }

    /// Forgets a file that no longer exists: its number may come back for another.
    pub(crate) fn forget(&self, node: &HostNode) {
        let mut table = self.table.write();
        table.by_id.remove(&node.id);
        table.unlist(node);
    }

    /// Forgets where a file was, but not the file: it is still open, and may be asked for by its number.
    pub(crate) fn forget_name(&self, node: &HostNode) {
        self.table.write().unlist(node);
    }
}

impl Table {
    fn unlist(&mut self, node: &HostNode) {
        let file = (node.branch, node.device, node.inode);
        if self.by_file.get(&file).is_some_and(|listed| listed.id == node.id) {
            self.by_file.remove(&file);
        }
    }
}
