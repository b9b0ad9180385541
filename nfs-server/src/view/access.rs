//! What a caller may do with a node: by its mode, and where the host's rules decide, by its access control list.

use super::View;
#[cfg(target_os = "linux")]
use super::attributes::FileType;
use super::attributes::Permissions;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::node::Node;
#[cfg(target_os = "linux")]
use super::{host, resolve::Resolved};

impl View {
    /// Whether the caller may do that with a node, wherever it lies in the view.
    ///
    /// A file without an access control list is judged by its mode, as the host does it. Of one that has a list, the host is
    /// asked on behalf of the caller. An owner's rights are in the mode alone (acl(5)).
    pub(crate) fn allows(&self, node: &Node, caller: Caller<'_>, mask: AccessMask) -> Result<bool, Error> {
        let permissions = self.permissions(node)?;
        let by_mode = caller.may(mask, self.kind(node), permissions);
        if caller.owns(permissions) || !self.impersonates_on(node) {
            return Ok(by_mode);
        }
        self.allows_by_acl(node, caller, mask).map(|by_list| by_list.unwrap_or(by_mode))
    }

    /// [`View::allows`], as an error.
    pub(crate) fn check(&self, node: &Node, caller: Caller<'_>, mask: AccessMask) -> Result<(), Error> {
        if self.allows(node, caller, mask)? { Ok(()) } else { Err(Error::Access) }
    }

    /// What a node's access control list says; nothing if it has none.
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux, where the host is asked")]
    fn allows_by_acl(&self, _: &Node, _: Caller<'_>, _: AccessMask) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    /// What a node's access control list says; nothing if it has none.
    #[cfg(target_os = "linux")]
    fn allows_by_acl(
        &self,
        node: &Node,
        caller: Caller<'_>,
        mask: AccessMask,
    ) -> Result<Option<bool>, Error> {
        if self.kind(node) == FileType::Symlink || !self.has_acl(node)? {
            return Ok(None);
        }
        let Some(host_entry) = self.host_entry(node) else { return Ok(None) };
        let Resolved { directory, name, .. } = match node {
            Node::Host(host) => self.resolve(host)?,
            Node::Declared(_) => self.resolve_host_entry(host_entry)?,
        };
        let _impersonation = self.impersonate(host_entry, caller)?;
        host::may(&*directory, &name, mask).map(Some).map_err(Error::from)
    }

    /// Whether a node has an access control list: asked of the host once for each time of last change, which a new list
    /// moves.
    #[cfg(target_os = "linux")]
    fn has_acl(&self, node: &Node) -> Result<bool, Error> {
        if let Some(known) = self.with_attr_cache(node, |cache| cache.has_acl()).flatten() {
            return Ok(known);
        }
        let Some(host_entry) = self.host_entry(node) else { return Ok(false) };
        let (directory, name) = match node {
            Node::Host(host) => {
                let place = host.place().ok_or(Error::Stale)?;
                (self.directory(place.parent)?, place.name)
            }
            Node::Declared(_) => {
                let resolved = self.resolve_host_entry(host_entry)?;
                (resolved.directory, resolved.name)
            }
        };
        // What cannot be told is asked for.
        let has = host::has_acl(&*directory, &name).unwrap_or(true);
        self.with_attr_cache(node, |cache| cache.set_acl(has));
        Ok(has)
    }

    /// Refuses whoever may not change the names in a directory, where the host does not decide about that.
    pub(crate) fn check_names(
        &self,
        node: &Node,
        permissions: Permissions,
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        if self.impersonates_on(node) { Ok(()) } else { caller.check_names(permissions) }
    }
}
