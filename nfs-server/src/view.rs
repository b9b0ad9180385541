//! The view: a filtered tree of the host. Nothing in here knows NFS.
//!
//! A [`View`] is opened from a [`ViewSpec`]. Reading goes through the view itself; changing goes through a
//! [`Writable`], which exists only for nodes that may be changed, so no procedure can forget to ask.

mod access;
mod attr_cache;
mod attributes;
mod blocking;
mod caller;
mod case_folding;
mod clock;
mod commit;
mod create;
mod deleted;
mod dir_cache;
mod dir_index;
mod error;
mod fd_cache;
mod fileid;
mod getattr;
mod host;
mod host_capabilities;
mod impersonate;
mod link;
mod lookup;
mod make;
mod name_cache;
mod node;
mod observer;
pub mod path_text;
mod phantom;
mod quota;
mod read;
mod readdir;
mod readlink;
mod remove;
mod rename;
mod resolve;
mod setattr;
mod spec;
mod special_files;
#[cfg(target_os = "linux")]
mod stat_batcher;
mod statfs;
mod tree;
mod usage;
mod use_counters;
mod variation;
mod writable;
mod write;

use std::sync::Arc;

use parking_lot::Mutex;

pub use attributes::{Attributes, FileType, Time};
pub use blocking::Blocking;
pub use caller::{AccessMask, Caller, Credentials};
pub use create::CreateMode;
pub use error::{Error, OpenError};
pub use fileid::is_host_inode;
pub use host_capabilities::HostCapabilities;
pub(crate) use impersonate::prepare_thread;
pub use lookup::Found;
pub use make::NewNode;
pub use node::{Node, NodeId};
pub use observer::{AccessObserver, LookupOutcome};
pub use quota::{BLOCK, Quota, QuotaUsage};
pub use read::{FileSegment, ReadOutcome};
pub use readdir::DirEntry;
pub use setattr::{SetAttributes, SetTime};
pub use spec::{Access, Entry, NAME_MAX, Owner, PATH_MAX, SpecError, ViewSpec};
pub use special_files::is_special_file_marker;
pub use statfs::{Amount, Space};
pub use usage::{EntryUsage, FileUsage, ViewUsage, WrittenFile};
pub use variation::{FileIdOrder, ViewVariation};
pub use writable::Writable;
pub use write::{WriteOutcome, WriteSource};

use clock::Clock;
use deleted::DeletedFiles;
use dir_cache::DirCache;
use fd_cache::FdCache;
use fileid::FileIds;
use impersonate::HostChecks;
use node::NodeTable;
use quota::QuotaCounters;
use special_files::SpecialFileMarkers;
#[cfg(target_os = "linux")]
use stat_batcher::StatBatcher;
use tree::{DeclaredNode, Tree};

/// A filtered tree of the host, as a [`ViewSpec`] declares it.
pub struct View {
    tree: Tree,
    nodes: NodeTable,
    fileids: FileIds,
    fds: FdCache,
    dir_cache: DirCache,
    #[cfg(target_os = "linux")]
    stat_batcher: Option<StatBatcher>,
    deleted: DeletedFiles,
    special_files: SpecialFileMarkers,
    capabilities: HostCapabilities,
    /// Held while names are changed: the host may reuse the inode number of a removed file for a new one.
    changing_names: Mutex<()>,
    /// Held while a mode is set: another one may be in its place for a moment.
    setting_modes: Mutex<()>,
    /// The uid and gid of the process that serves.
    identity: (u32, u32),
    /// Whether the host checks permissions, and as whom.
    host_checks: HostChecks,
    /// When the view was opened.
    opened: Time,
    /// How times are shown.
    clock: Clock,
    /// How much may be written; nothing is counted without a limit.
    quota: Option<QuotaCounters>,
    observer: Option<Arc<dyn AccessObserver>>,
}

/// What a view is opened with besides its specification.
#[derive(Clone)]
pub struct ViewOptions {
    /// Who is told what the view is asked for.
    pub observer: Option<Arc<dyn AccessObserver>>,
    /// What the host supports.
    pub capabilities: HostCapabilities,
    /// Who this process becomes once the view is open, and before the view is asked for anything; `None` if it stays who it
    /// is. What this user could not open is held open.
    pub becomes: Option<Credentials>,
    /// Whether scratches are given their modes and owners. Otherwise they are as somebody else has left them, who uses
    /// them.
    pub prepares_scratches: bool,
    /// What is shown otherwise than it is.
    pub variation: ViewVariation,
    /// How much may be written in all writable places together.
    pub quota: Quota,
}

impl Default for ViewOptions {
    /// Those of [`View::open`] without an observer.
    fn default() -> ViewOptions {
        ViewOptions {
            observer: None,
            capabilities: HostCapabilities::default(),
            becomes: None,
            prepares_scratches: true,
            variation: ViewVariation::default(),
            quota: Quota::default(),
        }
    }
}

impl View {
    /// Opens a view: checks the specification, finds the sources, gives each scratch its mode and owner.
    ///
    /// # Errors
    /// The specification is wrong, or a source is missing or cannot be used.
    pub fn open(spec: &ViewSpec, observer: Option<Arc<dyn AccessObserver>>) -> Result<View, OpenError> {
        View::open_with(spec, ViewOptions { observer, ..ViewOptions::default() })
    }

    /// [`View::open`] with other options.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn open_with(spec: &ViewSpec, options: ViewOptions) -> Result<View, OpenError> {
        let tree = Tree::new(spec, &options)?;
        let ViewOptions { observer, capabilities, becomes, variation, quota, .. } = options;
        let opened = Time::now();
        let (identity, host_checks) = match &becomes {
            Some(user) => ((user.uid, user.gid), HostChecks::AsItself),
            None => {
                let identity = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
                (identity, HostChecks::of_this_process(identity))
            }
        };
        let fds = FdCache::new();
        #[cfg(target_os = "linux")]
        if becomes.is_some() {
            fds.make_room();
        }
        Ok(View {
            fileids: FileIds::new(tree.device, variation.fileids),
            tree,
            nodes: NodeTable::new(),
            fds,
            dir_cache: DirCache::new(variation.readdir_order),
            #[cfg(target_os = "linux")]
            stat_batcher: StatBatcher::on(capabilities, becomes.is_some()),
            deleted: DeletedFiles::default(),
            special_files: SpecialFileMarkers::default(),
            capabilities,
            changing_names: Mutex::new(()),
            setting_modes: Mutex::new(()),
            clock: Clock::new(opened, variation),
            opened,
            quota: QuotaCounters::new(quota),
            identity,
            host_checks,
            observer,
        })
    }

    /// The node with an id.
    ///
    /// # Errors
    /// [`Error::Stale`] when there is no such node, or no longer.
    pub fn node(&self, id: NodeId) -> Result<Node, Error> {
        match Node::declared_index(id) {
            Some(index) if self.tree.get(index).is_some() => Ok(Node::Declared(index)),
            Some(_) => Err(Error::Stale),
            None => self.nodes.get(id).map(Node::Host).ok_or(Error::Stale),
        }
    }

    /// How often its quota was met; nothing where there is none.
    #[must_use]
    pub fn quota_usage(&self) -> QuotaUsage {
        self.quota.as_ref().map(QuotaCounters::usage).unwrap_or_default()
    }

    /// Closes all descriptors of host files.
    pub fn close(&self) {
        self.fds.clear();
        self.deleted.clear();
    }
}

/// A declared node. Indices come from the tree itself and from [`View::node`], which checks them.
fn declared(tree: &Tree, index: usize) -> &DeclaredNode {
    tree.get(index).unwrap_or_else(|| unreachable!("a declared node outside the tree"))
}
