//! The view: a filtered tree of the host. Nothing in here knows NFS.
//!
//! A [`View`] is opened from a [`ViewSpec`]. Reading goes through the view itself; changing goes through a
//! [`Writable`], which exists only for nodes that may be changed, so no procedure can forget to ask.

mod abilities;
mod acting;
mod attributes;
mod caller;
mod case;
mod change;
mod create;
mod descriptors;
mod error;
mod file_system;
mod fileid;
mod host;
mod list;
mod listing;
mod listings;
mod locate;
mod lookup;
#[cfg(target_os = "linux")]
mod many;
mod node;
mod patience;
mod read;
mod recall;
mod remove;
mod rename;
mod rights;
mod seen;
mod set;
mod silly;
mod sink;
mod spec;
mod stand_in;
mod stat;
mod tree;

use std::sync::Arc;

use parking_lot::Mutex;

pub use abilities::Abilities;
pub(crate) use acting::prepare_thread;
pub use attributes::{Attributes, Kind, Time};
pub use caller::{Caller, Want};
pub use change::Writable;
pub use create::{Create, New};
pub use error::{Error, OpenError};
pub use fileid::is_hosts_number;
pub use list::Listed;
pub use lookup::Found;
pub use node::{Node, NodeId};
pub use patience::Patience;
pub use read::{Read, Span};
pub use seen::Before;
pub use set::{Contents, SetAttributes, SetTime, Written};
pub use silly::SillyNames;
pub use sink::{Decision, Sink};
pub use spec::{Access, Entry, NAME_MAX, Owner, PATH_MAX, SpecError, ViewSpec};
pub use stand_in::stands_in;

use create::ExclusiveCreates;
use descriptors::Descriptors;
use fileid::FileIds;
use listings::Listings;
#[cfg(target_os = "linux")]
use many::Many;
use node::Nodes;
use silly::SillyRenames;
use stand_in::StandIns;
use tree::{Declared, Tree};

/// A filtered tree of the host, as a [`ViewSpec`] declares it.
pub struct View {
    tree: Tree,
    nodes: Nodes,
    fileids: FileIds,
    descriptors: Descriptors,
    listings: Listings,
    #[cfg(target_os = "linux")]
    many: Option<Many>,
    silly: SillyRenames,
    exclusive: ExclusiveCreates,
    stand_ins: StandIns,
    abilities: Abilities,
    /// Held while names change: the host may give the inode number of a file that goes to one that comes.
    changing_names: Mutex<()>,
    /// The user and group that new files of the host get before they are given to the caller.
    identity: (u32, u32),
    /// Whether this process can act as its callers.
    acts: bool,
    /// When the view was opened.
    opened: Time,
    sink: Option<Arc<dyn Sink>>,
}

impl View {
    /// Opens a view: checks the specification, finds the sources, gives each scratch its mode and owner.
    ///
    /// # Errors
    /// The specification is wrong, or a source is missing or cannot be used.
    pub fn open(spec: &ViewSpec, sink: Option<Arc<dyn Sink>>) -> Result<View, OpenError> {
        View::open_on(spec, sink, Abilities::default())
    }

    /// The same on a host of which this is known.
    ///
    /// # Errors
    /// As [`View::open`].
    pub fn open_on(
        spec: &ViewSpec,
        sink: Option<Arc<dyn Sink>>,
        abilities: Abilities,
    ) -> Result<View, OpenError> {
        let tree = Tree::new(spec, abilities)?;
        let identity = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Ok(View {
            fileids: FileIds::new(tree.device),
            tree,
            nodes: Nodes::new(),
            descriptors: Descriptors::new(),
            listings: Listings::new(),
            #[cfg(target_os = "linux")]
            many: Many::on(abilities),
            silly: SillyRenames::new(abilities.silly_names),
            exclusive: ExclusiveCreates::default(),
            stand_ins: StandIns::default(),
            abilities,
            changing_names: Mutex::new(()),
            opened: Time::now(),
            identity,
            acts: acting::can_act(identity),
            sink,
        })
    }

    /// The node of a number.
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

    /// Closes every host file: from here on nothing in the view holds one open.
    pub fn close(&self) {
        self.descriptors.clear();
        self.silly.clear();
    }
}

/// A declared node. Indices come from the tree itself and from [`View::node`], which checks them.
fn declared(tree: &Tree, index: usize) -> &Declared {
    tree.get(index).unwrap_or_else(|| unreachable!("a declared node outside the tree"))
}
