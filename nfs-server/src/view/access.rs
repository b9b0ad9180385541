//! Permission checks: by mode, and where the host checks permissions, by access control list.

use super::View;
use super::attributes::{FileType, Permissions};
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::node::Node;
#[cfg(target_os = "linux")]
use super::{host, resolve::Resolved};

impl View {
    /// Whether the caller has this permission on a node. Nobody may write a file where the view is read-only.
    ///
    /// # Errors
    /// [`Error::Stale`] when the host no longer has it.
    pub fn may(&self, node: &Node, caller: Caller<'_>, mask: AccessMask) -> Result<bool, Error> {
        let kind = self.kind(node);
        // Files only: open(2) fails rather than a write long after it. Changing names in a directory is refused when it is
        // tried, with EROFS; a device has no data on this file system.
        let holds_data = kind == FileType::Regular;
        if mask == AccessMask::Write && holds_data && !self.is_writable(node) {
            return Ok(false);
        }
        self.allows(node, caller, mask)
    }

    /// Whether the caller has this permission on a node, wherever it lies in the view.
    ///
    /// By the mode, as the host does it; for a file with an access control list the host is asked as the caller. The owner's
    /// permissions are in the mode alone (acl(5)).
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

    /// The permission by a node's access control list; `None` if it has none.
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux, where the host is asked")]
    fn allows_by_acl(&self, _: &Node, _: Caller<'_>, _: AccessMask) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    /// The permission by a node's access control list; `None` if it has none.
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

    /// Whether a node has an access control list. Asked once per ctime, which setting a list changes.
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
        // If in doubt, the host decides.
        let has = host::has_acl(&*directory, &name).unwrap_or(true);
        self.with_attr_cache(node, |cache| cache.set_acl(has));
        Ok(has)
    }

    /// Refuses callers without permission to change names in a directory, where the host does not check that.
    pub(crate) fn check_names(
        &self,
        node: &Node,
        permissions: Permissions,
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        if self.impersonates_on(node) { Ok(()) } else { caller.check_names(permissions) }
    }
}
