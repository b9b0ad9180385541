//! Reads symbolic links.

use super::attributes::FileType;
use super::error::Error;
use super::node::Node;
use super::resolve::gone;
use super::tree::NodeKind;
use super::{View, declared};

impl View {
    /// The target of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the node is something else, [`Error::Stale`] when it is gone.
    pub fn read_link(&self, node: &Node) -> Result<Vec<u8>, Error> {
        if self.kind(node) != FileType::Symlink {
            return Err(Error::Invalid);
        }
        self.counters(node).listed();
        let resolved = match (node, self.host_entry(node)) {
            (Node::Host(node), _) => self.resolve(node)?,
            (Node::Declared(_), Some(host_entry)) => self.resolve_host_entry(host_entry)?,
            (Node::Declared(index), None) => match &declared(&self.tree, *index).kind {
                NodeKind::Symlink { target } => return Ok(target.to_vec()),
                _ => return Err(Error::Invalid),
            },
        };
        let target = nix::fcntl::readlinkat(&*resolved.directory, &*resolved.name).map_err(gone)?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(target))
    }
}
