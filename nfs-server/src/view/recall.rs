//! What a view remembers of the names in directories, and when it asks the host instead.
//!
//! Where nobody but the view changes anything, a name that was asked for once is not asked for again, and neither is
//! one that is known not to be there.

use std::sync::Arc;

use parking_lot::Mutex;

use super::attributes::Attributes;
use super::error::Error;
use super::host;
use super::listing::{Listing, Recalled};
use super::node::{Name, Node, NodeId};
use super::patience::Patience;
use super::tree::Shape;
use super::{View, declared};
use crate::limits::{ASKED_BEFORE_READING, CLOCK_TICK, LARGE_DIRECTORY, READ_UNASKED_MAX};

impl View {
    /// A name in a directory, without asking whether the caller may look.
    pub(crate) fn child(&self, directory: &Node, name: &[u8]) -> Result<(Node, Attributes), Error> {
        if let Node::Declared(index) = directory {
            let entry = declared(&self.tree, *index);
            if let Some(child) = entry.child(name) {
                return self.with_attributes(Node::Declared(child));
            }
            if !matches!(entry.shape, Shape::Branch(_)) {
                return Err(Error::NotFound);
            }
        }
        if !self.is_exclusive(directory) {
            return self.ask(directory, name);
        }
        let listing = self.listing(directory);
        let changes = match listing.lock().recall(name) {
            // In another case, or composed of other characters, it may be there.
            Recalled::Absent if !self.tells_case(directory) || self.may_be_written_otherwise(name) => {
                return self.ask(directory, name);
            }
            Recalled::Absent => return Err(Error::NotFound),
            Recalled::Node(id) => Err(id),
            Recalled::Unknown { changes } => Ok(changes),
        };
        match changes {
            Err(id) => self.recall(id).map_or_else(|| self.ask(directory, name), Ok),
            Ok(changes) => {
                let found = self.ask(directory, name)?;
                listing.lock().remember(name, found.0.id(), changes);
                Ok(found)
            }
        }
    }

    /// Whether the host may know a name by other bytes: as HFS+ and APFS take letters with their marks composed and
    /// decomposed for the same, whether they tell case or not.
    fn may_be_written_otherwise(&self, name: &[u8]) -> bool {
        self.abilities.normalizes_names && !name.is_ascii()
    }

    /// A node that a name was known to lead to, unless it is gone.
    pub(crate) fn recall(&self, id: NodeId) -> Option<(Node, Attributes)> {
        self.with_attributes(Node::Host(self.nodes.get(id)?)).ok()
    }

    /// Asks the host for a name in one of its directories.
    pub(crate) fn ask(&self, directory: &Node, name: impl Name) -> Result<(Node, Attributes), Error> {
        let holder = self.directory(directory.id())?;
        let stat = host::stat(&*holder, name.as_ref())?;
        let attributes = self.host_attributes(&stat);
        let identity = host::identity(&stat);
        let node = self.nodes.intern(directory.part(), directory.id(), name, identity, &attributes)?;
        if !self.is_exclusive(directory) {
            node.seen(|seen| seen.answered(seen.asked(), &attributes));
            return Ok((Node::Host(node), attributes));
        }
        // It may have been known before, by another name, and may have changed since the host was asked just now.
        self.with_attributes(Node::Host(node))
    }

    pub(crate) fn with_attributes(&self, node: Node) -> Result<(Node, Attributes), Error> {
        let attributes = self.attributes(&node)?;
        Ok((node, attributes))
    }

    pub(crate) fn listing(&self, directory: &Node) -> Arc<Mutex<Listing>> {
        self.listings.of(directory.id(), self.is_fixed(directory))
    }

    /// Reads all names of a directory when several were asked for one by one, unless there are very many.
    pub(crate) fn learn(&self, directory: &Node) -> Result<(), Error> {
        if !self.is_exclusive(directory) {
            return Ok(());
        }
        let listing = self.listing(directory);
        {
            let mut listing = listing.lock();
            if listing.was_read() || listing.asked >= ASKED_BEFORE_READING {
                return Ok(());
            }
            listing.asked += 1;
            if listing.asked < ASKED_BEFORE_READING {
                return Ok(());
            }
        }
        self.read_into(directory, &listing, READ_UNASKED_MAX)
    }

    /// Reads the names where a listing starts, unless nothing has changed since they were read. A listing that goes
    /// on needs no second look: the view's own changes have been noted in it.
    pub(crate) fn read_names(
        &self,
        directory: &Node,
        listing: &Arc<Mutex<Listing>>,
        starts: bool,
        patience: Patience,
    ) -> Result<(), Error> {
        if listing.lock().was_read() && (self.is_exclusive(directory) || !starts) {
            return Ok(());
        }
        patience.check(self.attributes(directory)?.size >= LARGE_DIRECTORY)?;
        self.read_into(directory, listing, usize::MAX)
    }

    fn read_into(&self, directory: &Node, listing: &Arc<Mutex<Listing>>, most: usize) -> Result<(), Error> {
        // A name that came while the host is asked must not be taken for one that went.
        let _changing = self.is_writable(directory).then(|| self.changing_names.lock());
        let attributes = self.attributes(directory)?;
        let version = (attributes.modified, attributes.changed);
        if listing.lock().is_current(version) {
            return Ok(());
        }
        let Some(names) = host::names(&*self.directory(directory.id())?, most)? else { return Ok(()) };
        let count = names.len();
        listing.lock().refresh(names, version);
        if !self.is_exclusive(directory) && attributes.changed.is_within(CLOCK_TICK) {
            // What the host does next may leave the directory with the same times: the names are read again then.
            listing.lock().doubt();
        }
        if self.is_fixed(directory) {
            self.listings.grew(directory.id(), listing, count);
        }
        Ok(())
    }
}
