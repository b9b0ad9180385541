//! Creates hard links.

use std::os::fd::OwnedFd;

use nix::fcntl::AtFlags;

use super::attributes::{Attributes, FileType};
use super::caller::Caller;
use super::error::Error;
#[cfg(target_os = "linux")]
use super::host;
use super::node::{HostNode, Node};
use super::resolve::Resolved;
use super::writable::{Writable, check_new_name};

impl Writable<'_> {
    /// Creates a link to a file in this directory.
    ///
    /// # Errors
    /// [`Error::CrossDevice`] when the file lies in another part of the view, so that programs copy it instead.
    pub fn link(&self, file: &Node, name: &[u8], caller: Caller<'_>) -> Result<Attributes, Error> {
        check_new_name(name)?;
        let Node::Host(host_node) = file else { return Err(Error::CrossDevice) };
        if host_node.host_entry != self.host_entry {
            return Err(Error::CrossDevice);
        }
        if host_node.kind == FileType::Directory {
            return Err(Error::NotPermitted);
        }
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = self.names(caller)?;
        let resolved = self.view.resolve(host_node)?;
        self.link_on_host(host_node, &resolved, &directory, name, caller)?;
        host_node.add_location(self.node.id(), name);
        self.view.dir_cache.add(self.node.id(), name, Some(host_node.id));
        self.view.invalidate(&self.node);
        self.view.invalidate(file);
        self.view.attributes(file)
    }

    /// Where the host checks permissions, links exactly the node's file, as the caller: its name may lead to another by now.
    fn link_on_host(
        &self,
        node: &HostNode,
        resolved: &Resolved,
        directory: &OwnedFd,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        if self.host_checks_permissions() {
            let file = host::open_itself(&*resolved.directory, &resolved.name)?;
            if host::identity(&nix::sys::stat::fstat(&file)?) != node.identity() {
                return Err(Error::Stale);
            }
            let _impersonation = self.impersonate(caller)?;
            return Ok(host::link_own(&file, directory, name)?);
        }
        let _ = (node, caller);
        Ok(nix::unistd::linkat(&*resolved.directory, &*resolved.name, directory, name, AtFlags::empty())?)
    }
}
