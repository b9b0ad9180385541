//! [`Writable`], a node that may be changed: it exists only where the view is writable.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::attributes::{Attributes, FileType, Permissions};
use super::caller::Caller;
use super::error::Error;
use super::host;
use super::impersonate::Impersonation;
use super::lookup::check_name;
use super::node::Node;
use super::observer::LookupOutcome;
use super::quota::{FileBlocks, NewInode, QuotaCounters};
use super::tree::HostEntry;
use super::{View, declared};

/// A node that may be changed, as far as its mode lets the caller.
pub struct Writable<'v> {
    pub(crate) view: &'v View,
    pub(crate) node: Node,
    /// The declared node whose host files it belongs to.
    pub(crate) host_entry: usize,
}

impl View {
    /// A node as a writable one.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] wherever the view is read-only, for everybody.
    pub fn writable(&self, node: Node) -> Result<Writable<'_>, Error> {
        if self.is_writable(&node) {
            let host_entry = node.entry_index();
            return Ok(Writable { view: self, node, host_entry });
        }
        if let Some(observer) = &self.observer {
            observer.observe(LookupOutcome::ChangeRefused, &|| self.path(&node));
        }
        Err(Error::ReadOnly)
    }

    /// A directory, to change a name in it.
    ///
    /// # Errors
    /// [`Error::Access`] if the mode would refuse it anyway; otherwise [`Error::ReadOnly`], as [`View::writable`].
    pub fn writable_names(
        &self,
        node: &Node,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<Writable<'_>, Error> {
        if self.is_writable(node) {
            return self.writable(node.clone());
        }
        self.refuse_change(node, name);
        self.permissions(node).and_then(|permissions| caller.check_names(permissions))?;
        Err(Error::ReadOnly)
    }

    /// Tells the observer that a name was not changed.
    pub(crate) fn refuse_change(&self, directory: &Node, name: &[u8]) {
        if let Some(observer) = &self.observer {
            let path = || self.path(directory).join(OsStr::from_bytes(name));
            observer.observe(LookupOutcome::ChangeRefused, &path);
        }
    }

    /// Whether two nodes lie in the same part of the view, so that names may move from one to the other.
    #[must_use]
    pub fn same_entry(&self, one: &Node, other: &Node) -> bool {
        one.entry_index() == other.entry_index()
    }
}

impl Writable<'_> {
    /// The node itself.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its attributes after what was done.
    ///
    /// # Errors
    /// As [`View::attributes`].
    pub fn attributes(&self) -> Result<Attributes, Error> {
        self.view.attributes(&self.node)
    }

    pub(crate) fn permissions(&self) -> Result<Permissions, Error> {
        self.view.permissions(&self.node)
    }

    /// The entry that it belongs to.
    pub(crate) fn host_entry(&self) -> Result<&HostEntry, Error> {
        self.view.host_entry(&self.node).ok_or(Error::ReadOnly)
    }

    /// The host's directory behind this one, when the caller may change the names in it.
    pub(crate) fn names(&self, caller: Caller<'_>) -> Result<Arc<OwnedFd>, Error> {
        if self.view.kind(&self.node) != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        self.view.check_names(&self.node, self.permissions()?, caller)?;
        self.view.directory(self.node.id())
    }

    /// A name in this directory was not changed: tells the observer, if the caller was not allowed to.
    pub(crate) fn refused(&self, name: &[u8], error: Error) {
        if matches!(error, Error::Access | Error::NotPermitted | Error::ReadOnly) {
            self.view.refuse_change(&self.node, name);
        }
    }

    /// Whether an entry of the view has this name here.
    pub(crate) fn is_declared(&self, name: &[u8]) -> bool {
        match &self.node {
            Node::Declared(index) => declared(&self.view.tree, *index).child(name).is_some(),
            Node::Host(_) => false,
        }
    }

    /// Whether the host checks permissions.
    pub(crate) fn host_checks_permissions(&self) -> bool {
        self.view.impersonates_on(&self.node)
    }

    /// Impersonates the caller, where the host checks permissions.
    pub(crate) fn impersonate(&self, caller: Caller<'_>) -> Result<Impersonation, Error> {
        self.view.impersonate(self.host_entry()?, caller)
    }

    /// The view's quota and what this file counts as in it, if there is one.
    pub(crate) fn quota(&self) -> Option<(&QuotaCounters, &FileBlocks)> {
        let blocks = match &self.node {
            Node::Host(node) => &node.blocks,
            Node::Declared(_) => &self.view.host_entry(&self.node)?.blocks,
        };
        Some((self.view.quota.as_ref()?, blocks))
    }

    /// Takes an inode of the view's quota for a new name in a directory.
    ///
    /// # Errors
    /// [`Error::NoSpace`], but [`Error::Exists`] when the name is taken, which would not need one.
    pub(crate) fn new_inode(&self, directory: &OwnedFd, name: &[u8]) -> Result<NewInode<'_>, Error> {
        let Some(quota) = &self.view.quota else { return Ok(NewInode::unlimited()) };
        quota.new_inode().map_err(|refused| match host::stat(directory, name) {
            Ok(_) => Error::Exists,
            Err(_) => refused.error(),
        })
    }

    /// In a sticky directory only its owner, the file's owner and root may remove a name. Not checked where the host does it.
    pub(crate) fn check_sticky(&self, caller: Caller<'_>, file: Permissions) -> Result<(), Error> {
        if self.host_checks_permissions() {
            return Ok(());
        }
        let directory = self.permissions()?;
        let sticky = directory.mode & 0o1000 != 0;
        if sticky && !caller.owns(directory) && !caller.owns(file) {
            return Err(Error::NotPermitted);
        }
        Ok(())
    }
}

/// Refuses names that cannot be created.
pub(crate) fn check_new_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Exists);
    }
    check_name(name)
}

/// Refuses names that cannot be removed.
pub(crate) fn check_old_name(name: &[u8]) -> Result<(), Error> {
    if matches!(name, b"." | b"..") {
        return Err(Error::Invalid);
    }
    check_name(name)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::super::blocking::Blocking;
    use super::super::create::CreateMode;
    use super::super::make::NewNode;
    use super::super::observer::AccessObserver;
    use super::super::setattr::SetAttributes;
    use super::super::spec::{Access, Entry, Owner, ViewSpec};
    use super::*;

    #[derive(Default)]
    struct Told(parking_lot::Mutex<Vec<(LookupOutcome, PathBuf)>>);

    impl AccessObserver for Told {
        fn observe(&self, outcome: LookupOutcome, path: &dyn Fn() -> PathBuf) {
            if outcome == LookupOutcome::ChangeRefused {
                self.0.lock().push((outcome, path()));
            }
        }
    }

    /// A view with a scratch and a writable graft, and who is told of it.
    fn open(host: &std::path::Path) -> (View, Arc<Told>) {
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        for directory in ["scratch", "graft"] {
            std::fs::create_dir(host.join(directory)).unwrap();
        }
        let (source, mode) = (host.join("scratch"), 0o755);
        let graft = Entry::Graft {
            at: "/graft".into(),
            source: host.join("graft"),
            access: Access::Rw,
            optional: false,
        };
        let entries = vec![Entry::Scratch { at: "/scratch".into(), source, mode, owner }, graft];
        let told = Arc::new(Told::default());
        let observer = Arc::clone(&told) as Arc<dyn AccessObserver>;
        (View::open(&ViewSpec { entries }, Some(observer)).unwrap(), told)
    }

    fn at<'v>(view: &'v View, name: &str) -> Writable<'v> {
        view.writable(view.lookup(&view.root(), name.as_bytes(), Caller::ROOT).unwrap().0).unwrap()
    }

    #[test]
    fn who_lacks_the_right_to_change_a_name_is_told_of_and_other_failures_are_not() {
        let host = tempfile::tempdir().unwrap();
        let (view, told) = open(host.path());
        let scratch = at(&view, "scratch");
        for error in [Error::NotFound, Error::Exists, Error::NoSpace] {
            scratch.refused(b"name", error);
        }
        assert_eq!(*told.0.lock(), []);
        for error in [Error::Access, Error::NotPermitted, Error::ReadOnly] {
            scratch.refused(b"name", error);
            let refused = (LookupOutcome::ChangeRefused, PathBuf::from("/scratch/name"));
            assert_eq!(std::mem::take(&mut *told.0.lock()), [refused]);
        }
    }

    /// This thread has the process's umask, those of the server have none.
    #[test]
    fn what_is_made_has_the_mode_asked_for_whatever_the_umask_is() {
        use std::os::unix::fs::PermissionsExt;
        let host = tempfile::tempdir().unwrap();
        let (view, _) = open(host.path());
        let set = SetAttributes { mode: Some(0o777), ..SetAttributes::default() };
        for place in ["scratch", "graft"] {
            let directory = at(&view, place);
            directory.create(b"file", CreateMode::Guarded, &set, Caller::ROOT).unwrap();
            directory.make(b"directory", NewNode::Directory, &set, Caller::ROOT).unwrap();
            for name in ["file", "directory"] {
                let made = std::fs::metadata(host.path().join(place).join(name)).unwrap();
                assert_eq!(made.permissions().mode() & 0o7777, 0o777, "{place}/{name}");
            }
        }
    }

    #[test]
    fn who_may_not_wait_does_not_write_to_the_disk_and_what_goes_with_the_view_need_not_get_there() {
        let host = tempfile::tempdir().unwrap();
        let (view, _) = open(host.path());
        for (place, waits) in [("scratch", false), ("graft", true)] {
            let set = SetAttributes::default();
            let file = at(&view, place).create(b"file", CreateMode::Guarded, &set, Caller::ROOT).unwrap().0;
            let file = view.writable(file).unwrap();
            let write = |sync, blocking| {
                file.write(0, &b"data"[..], sync, Caller::ROOT, blocking).map(|done| done.durable)
            };
            let at_once = if waits { Err(Error::WouldBlock) } else { Ok(true) };
            assert_eq!(write(true, Blocking::Never), at_once, "{place}");
            assert_eq!(write(true, Blocking::Allowed), Ok(true), "{place}");
            assert_eq!(write(false, Blocking::Never), Ok(!waits), "{place}");
        }
    }
}
