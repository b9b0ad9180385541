//! The file systems behind a view.

use std::sync::Arc;

use nix::sys::statvfs::{Statvfs, fstatvfs};

use super::attributes::Kind;
use super::error::Error;
use super::locate::Located;
use super::node::Node;
use super::tree::Shape;
use super::{View, declared, host};

impl View {
    /// The file system that a node lies on; behind one that only the view has, that of the first scratch.
    ///
    /// # Errors
    /// What the host says.
    pub fn file_system(&self, node: &Node) -> Result<Statvfs, Error> {
        let located = match (node, self.branch(node)) {
            (_, None) => {
                let directory = match self.first_scratch() {
                    Some(scratch) => self.directory(scratch.id())?,
                    None => Arc::new(host::open_root()?),
                };
                return Ok(fstatvfs(&*directory)?);
            }
            // Not the directory that holds it, which may lie on another: it may be a mount point.
            _ if self.kind(node) == Kind::Directory => return Ok(fstatvfs(&*self.directory(node.id())?)?),
            (Node::Declared(_), Some(branch)) => self.locate_branch(branch)?,
            (Node::Host(host), Some(_)) => match host.orphan() {
                Some(file) => return Ok(fstatvfs(&*file)?),
                None => self.locate(host)?,
            },
        };
        let Located { directory, name, .. } = located;
        match host::open_itself(&*directory, &name) {
            Ok(file) => Ok(fstatvfs(&file)?),
            // A socket, where the system opens none.
            Err(_) => Ok(fstatvfs(&*directory)?),
        }
    }

    /// Bytes that the largest file at a node may have, for a client that asks once for all of a mount.
    ///
    /// Of a node that only the view has, what fits every writable place: a client that allows more learns of the limit
    /// when the data is on its way, long after the program's write. It must not be less than a file has that is only
    /// shown, whose end the client would not show.
    #[must_use]
    pub fn largest_file(&self, node: &Node) -> u64 {
        if self.branch(node).is_some() {
            return self.largest_file_behind(node).unwrap_or(host::LARGEST_FILE);
        }
        let writable = self.tree.branches().filter(|(_, branch)| branch.access == super::Access::Rw);
        let fits = writable.filter_map(|(index, _)| self.largest_file_behind(&Node::Declared(index))).min();
        let fits = fits.unwrap_or(host::LARGEST_FILE);
        let holds_larger = |index: &usize| {
            let used = self.file_system(&Node::Declared(*index)).map(|behind| used_bytes(&behind));
            used.is_ok_and(|used| used >= fits)
        };
        let read_only = self.tree.devices.iter().filter(|index| {
            matches!(&declared(&self.tree, **index).shape, Shape::Branch(branch) if branch.access != super::Access::Rw)
        });
        if read_only.into_iter().any(holds_larger) { host::LARGEST_FILE } else { fits }
    }

    fn largest_file_behind(&self, node: &Node) -> Option<u64> {
        if self.kind(node) != Kind::Directory {
            return None;
        }
        host::largest_file(&*self.directory(node.id()).ok()?)
    }

    fn first_scratch(&self) -> Option<Node> {
        self.tree.branches().find(|(_, branch)| branch.scratch).map(|(index, _)| Node::Declared(index))
    }
}

#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
fn used_bytes(behind: &Statvfs) -> u64 {
    let blocks = (behind.blocks() as u64).saturating_sub(behind.blocks_free() as u64);
    blocks.saturating_mul(behind.fragment_size() as u64)
}
