//! Names that go: files, directories, and files that are still open when their directory goes.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lru::LruCache;
use nix::unistd::UnlinkatFlags;
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};

use super::View;
use super::attributes::{Attributes, Kind};
use super::caller::Caller;
use super::change::{Writable, check_old_name};
use super::error::Error;
use super::host;
use super::list::is_silly;
use super::node::{HostNode, Node, NodeId};
use super::seen::Seen;
use crate::limits::{DELETED_MAX, DUPLICATES_MAX, ORPHANS_MAX};

/// A directory that is gone, and a name that was in it.
type FormerName = (NodeId, Arc<[u8]>);

/// What the view remembers of files beyond their names.
pub(crate) struct Orphans {
    /// Files without a name, by the name that their client knows them by.
    nameless: Mutex<FxHashMap<FormerName, Arc<HostNode>>>,
    /// Names of deleted files that are still open, in scratches.
    deleted: Mutex<FxHashSet<FormerName>>,
    /// The verifiers of files that were made exclusively, for a request that comes twice.
    verifiers: Mutex<LruCache<NodeId, [u8; 8]>>,
}

impl Writable<'_> {
    /// Removes the name of anything but a directory.
    ///
    /// # Errors
    /// [`Error::ReadOnly`] for the name of an entry, [`Error::IsDirectory`] for a directory.
    pub fn remove(&self, name: &[u8], caller: Caller<'_>) -> Result<(), Error> {
        check_old_name(name)?;
        let _changing = self.view.changing_names.lock();
        let directory = self.names(caller)?;
        if self.is_declared(name) {
            return Err(Error::ReadOnly);
        }
        let (identity, attributes) = self.known(name)?;
        if attributes.kind == Kind::Directory {
            return Err(Error::IsDirectory);
        }
        self.check_sticky(caller, attributes.permissions())?;
        nix::unistd::unlinkat(&*directory, name, UnlinkatFlags::NoRemoveDir)?;
        self.name_went(name, identity, attributes.links);
        Ok(())
    }

    /// Removes an empty directory. Files in it that were deleted while open do not count.
    ///
    /// # Errors
    /// [`Error::NotEmpty`]; [`Error::ReadOnly`] for the name of an entry.
    pub fn remove_directory(&self, name: &[u8], caller: Caller<'_>) -> Result<(), Error> {
        check_old_name(name)?;
        let _changing = self.view.changing_names.lock();
        let directory = self.names(caller)?;
        if self.is_declared(name) {
            return Err(Error::ReadOnly);
        }
        let (identity, attributes) = self.known(name)?;
        if attributes.kind != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        self.check_sticky(caller, attributes.permissions())?;
        let unlink = || nix::unistd::unlinkat(&*directory, name, UnlinkatFlags::RemoveDir);
        match unlink().map_err(Error::from) {
            Err(Error::NotEmpty | Error::Exists) => {
                self.view.orphan_deleted_files(&directory, name, self.branch)?;
                unlink()?;
            }
            result => result?,
        }
        self.name_went(name, identity, attributes.links);
        Ok(())
    }

    /// Which file a name leads to that is no entry's, and its attributes, from memory where that is as good.
    fn known(&self, name: &[u8]) -> Result<((u64, u64), Attributes), Error> {
        match self.view.child(&self.node, name)? {
            (Node::Host(node), attributes) => Ok((node.identity(), attributes)),
            (Node::Declared(_), _) => Err(Error::ReadOnly),
        }
    }

    /// Takes note that a name of a file is no more, of which it had as many as `links`.
    pub(crate) fn name_went(&self, name: &[u8], identity: (u64, u64), links: u32) {
        let parent = self.node.id();
        self.view.orphans.went(parent, name);
        self.view.listings.remove(parent, name);
        self.view.outdate(&self.node);
        let Some(node) = self.view.nodes.find(self.branch, identity) else { return };
        node.remove_place(parent, name);
        if links > 1 && node.kind != Kind::Directory {
            node.seen(Seen::outdate);
            return;
        }
        if node.orphan().is_some() {
            // Still open by a name that went with its directory.
            node.seen(Seen::outdate);
            return self.view.nodes.forget_name(&node);
        }
        self.view.descriptors.forget(node.id);
        self.view.listings.forget(node.id);
        self.view.forget(&node);
    }
}

impl View {
    /// Removes the names that deleted files still have. Their client does that when it closes them, but a program's last
    /// files are closed after its end, and the mount may be gone before the client comes to it.
    pub(crate) fn finish_deletions(&self) {
        for (directory, name) in self.orphans.deleted.lock().drain() {
            // What is gone meanwhile needs no removing.
            if let Ok(directory) = self.directory(directory) {
                let _ = nix::unistd::unlinkat(&*directory, &*name, UnlinkatFlags::NoRemoveDir);
            }
        }
    }

    /// Drops a file that has lost its name together with its directory. Its client asks for that when it closes
    /// the file, by the directory and name that it knew.
    #[must_use]
    pub fn release_orphan(&self, directory: NodeId, name: &[u8]) -> bool {
        let mut nameless = self.orphans.nameless.lock();
        let Some(node) = nameless.remove(&(directory, name.into())) else { return false };
        if nameless.values().any(|other| other.id == node.id) {
            // Two names of one file went, and it is still open by the other.
            return true;
        }
        drop(nameless);
        // With another name elsewhere it stays, and is reached by that from now on.
        let file = node.take_orphan();
        let is_last = |file: &OwnedFd| nix::sys::stat::fstat(file).map_or(true, |stat| stat.st_nlink == 0);
        if file.as_deref().is_none_or(is_last) {
            self.forget(&node);
        } else {
            node.seen(Seen::outdate);
        }
        true
    }

    /// Forgets a file that is no more.
    fn forget(&self, node: &HostNode) {
        self.stand_ins.forget(node.identity());
        self.nodes.forget(node);
    }

    /// Removes the names of files in a directory that were deleted while open, and keeps the files open instead.
    /// Does nothing when anything else is in it.
    pub(crate) fn orphan_deleted_files(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        branch: usize,
    ) -> Result<(), Error> {
        let directory = host::open_directory(parent, name)?;
        let Some(names) = host::names(&directory, ORPHANS_MAX)? else { return Err(Error::NotEmpty) };
        let full = self.orphans.nameless.lock().len() + names.len() > ORPHANS_MAX;
        let is_deleted = |name: &[u8]| -> Result<bool, Error> {
            Ok(is_silly(name) && self.kind_of(&host::stat(&directory, name)?) != Kind::Directory)
        };
        for name in &names {
            if full || !is_deleted(name)? {
                return Err(Error::NotEmpty);
            }
        }
        let Some(holder) = self.nodes.find(branch, host::identity(&nix::sys::stat::fstat(&directory)?))
        else {
            return Err(Error::NotEmpty);
        };
        for name in names {
            let stat = host::stat(&directory, &name)?;
            let attributes = self.host_attributes(&stat);
            let file = Arc::new(match attributes.kind {
                Kind::Regular => host::open_data(&directory, &name, true)?,
                // A pipe, a socket or a link: all that is ever asked of it is its attributes.
                _ => host::open_itself(&directory, &name)?,
            });
            let node = self.nodes.intern(branch, holder.id, &*name, host::identity(&stat), &attributes);
            nix::unistd::unlinkat(&directory, &*name, UnlinkatFlags::NoRemoveDir)?;
            node.set_orphan(file);
            node.seen(Seen::outdate);
            self.descriptors.forget(node.id);
            node.remove_place(holder.id, &name);
            if stat.st_nlink <= 1 {
                self.nodes.forget_name(&node);
            }
            self.listings.remove(holder.id, &name);
            self.orphans.nameless.lock().insert((holder.id, name), node);
        }
        Ok(())
    }
}

impl Orphans {
    pub(crate) fn remember_verifier(&self, id: NodeId, verifier: [u8; 8]) {
        self.verifiers.lock().put(id, verifier);
    }

    pub(crate) fn has_verifier(&self, id: NodeId, verifier: [u8; 8]) -> bool {
        self.verifiers.lock().get(&id) == Some(&verifier)
    }

    /// Takes note that a deleted file got such a name.
    pub(crate) fn deleted(&self, directory: NodeId, name: &[u8]) {
        let mut deleted = self.deleted.lock();
        if deleted.len() < DELETED_MAX {
            deleted.insert((directory, name.into()));
        }
    }

    pub(crate) fn went(&self, directory: NodeId, name: &[u8]) {
        if is_silly(name) {
            self.deleted.lock().remove(&(directory, name.into()));
        }
    }

    pub(crate) fn clear(&self) {
        self.nameless.lock().clear();
    }
}

impl Default for Orphans {
    fn default() -> Orphans {
        let capacity = NonZeroUsize::new(DUPLICATES_MAX).unwrap_or(NonZeroUsize::MIN);
        Orphans {
            nameless: Mutex::default(),
            deleted: Mutex::default(),
            verifiers: Mutex::new(LruCache::new(capacity)),
        }
    }
}
