//! What a caller may do with a node: by its mode, and where the host's rules decide, by its access control list.

use super::View;
#[cfg(target_os = "linux")]
use super::attributes::Kind;
use super::attributes::Permissions;
use super::caller::{Caller, Want};
use super::error::Error;
use super::node::Node;
#[cfg(target_os = "linux")]
use super::{host, locate::Located};

impl View {
    /// Whether the caller may do that with a node, wherever it lies in the view.
    ///
    /// A file without an access control list is judged by its mode, as the host does it. Of one that has a list, the host is
    /// asked on behalf of the caller. An owner's rights are in the mode alone (acl(5)).
    pub(crate) fn allows(&self, node: &Node, caller: Caller<'_>, want: Want) -> Result<bool, Error> {
        let permissions = self.permissions(node)?;
        let by_mode = caller.may(want, self.kind(node), permissions);
        if caller.owns(permissions) || !self.acts_on(node) {
            return Ok(by_mode);
        }
        self.allows_by_list(node, caller, want).map(|by_list| by_list.unwrap_or(by_mode))
    }

    /// [`View::allows`], as an error.
    pub(crate) fn check(&self, node: &Node, caller: Caller<'_>, want: Want) -> Result<(), Error> {
        if self.allows(node, caller, want)? { Ok(()) } else { Err(Error::Access) }
    }

    /// What a node's access control list says; nothing if it has none.
    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "as on Linux, where the host is asked")]
    fn allows_by_list(&self, _: &Node, _: Caller<'_>, _: Want) -> Result<Option<bool>, Error> {
        Ok(None)
    }

    /// What a node's access control list says; nothing if it has none.
    #[cfg(target_os = "linux")]
    fn allows_by_list(&self, node: &Node, caller: Caller<'_>, want: Want) -> Result<Option<bool>, Error> {
        if self.kind(node) == Kind::Symlink || !self.has_list(node)? {
            return Ok(None);
        }
        let Some(branch) = self.branch(node) else { return Ok(None) };
        let Located { directory, name, .. } = match node {
            Node::Host(host) => self.locate(host)?,
            Node::Declared(_) => self.locate_branch(branch)?,
        };
        let _acting = self.act_as(branch, caller)?;
        host::may(&*directory, &name, want).map(Some).map_err(Error::from)
    }

    /// Whether a node has an access control list: asked of the host once for each time of last change, which a new list
    /// moves.
    #[cfg(target_os = "linux")]
    fn has_list(&self, node: &Node) -> Result<bool, Error> {
        if let Some(known) = self.seen(node, |seen| seen.has_list()).flatten() {
            return Ok(known);
        }
        let Some(branch) = self.branch(node) else { return Ok(false) };
        let (directory, name) = match node {
            Node::Host(host) => {
                let place = host.place().ok_or(Error::Stale)?;
                (self.directory(place.parent)?, place.name)
            }
            Node::Declared(_) => {
                let located = self.locate_branch(branch)?;
                (located.directory, located.name)
            }
        };
        // What cannot be told is asked for.
        let has = host::has_access_list(&*directory, &name).unwrap_or(true);
        self.seen(node, |seen| seen.note_list(has));
        Ok(has)
    }

    /// Refuses whoever may not change the names in a directory, where the host does not decide about that.
    pub(crate) fn check_names(
        &self,
        node: &Node,
        permissions: Permissions,
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        if self.acts_on(node) { Ok(()) } else { caller.check_names(permissions) }
    }
}
