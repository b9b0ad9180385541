//! Files that were deleted while open.
//!
//! A protocol without open files keeps such a file under a *placeholder name*: a free name in its directory that it was
//! renamed to. The name is not listed and does not keep its directory from being removed. When the directory is removed,
//! the file stays open without a name (an *orphan*) until it is released.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::stat::FileStat;
use nix::unistd::UnlinkatFlags;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::View;
use super::attr_cache::AttrCache;
use super::attributes::FileType;
use super::caller::Caller;
use super::error::Error;
use super::fd_cache::OpenMode;
use super::host;
use super::node::{HostNode, Node, NodeId};
use super::writable::Writable;
use crate::limits::{DELETED_FILES_MAX, ORPHANS_MAX};

/// A name in a directory.
type Name = (NodeId, Arc<[u8]>);

/// Deleted files by directory and placeholder name.
type Placeholders = FxHashMap<NodeId, FxHashMap<Arc<[u8]>, Deleted>>;

/// The deleted files of a view that are still open.
#[derive(Default)]
pub(crate) struct DeletedFiles {
    /// Entries in `placeholders`: usually 0, and then nobody locks it.
    count: AtomicUsize,
    placeholders: Mutex<Placeholders>,
    /// Files whose directory was removed, by their last name.
    nameless: Mutex<FxHashMap<Name, Arc<HostNode>>>,
}

/// A deleted file that still has a name.
struct Deleted {
    /// Device and inode number.
    identity: (u64, u64),
    /// Whether only the view changes the directory, so that a leftover may be removed.
    exclusive: bool,
}

impl DeletedFiles {
    /// Whether any deleted file still has a name.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether a name is the placeholder of this file.
    pub(crate) fn contains(&self, directory: NodeId, name: &[u8], identity: (u64, u64)) -> bool {
        self.any()
            && self
                .placeholders
                .lock()
                .get(&directory)
                .and_then(|names| names.get(name))
                .is_some_and(|file| file.identity == identity)
    }

    /// Makes a name an ordinary one: it was removed, reused, or looked up by a program.
    pub(crate) fn forget(&self, directory: NodeId, name: &[u8]) {
        if !self.any() {
            return;
        }
        let mut placeholders = self.placeholders.lock();
        let Some(names) = placeholders.get_mut(&directory) else { return };
        if names.remove(name).is_some() {
            self.count.fetch_sub(1, Ordering::Release);
        }
        if names.is_empty() {
            placeholders.remove(&directory);
        }
    }

    /// Forgets everything and closes the orphans.
    pub(crate) fn clear(&self) {
        drop(self.take_all());
        self.nameless.lock().clear();
    }

    fn insert(&self, directory: NodeId, name: &[u8], file: Deleted) {
        let mut placeholders = self.placeholders.lock();
        if self.count.load(Ordering::Relaxed) < DELETED_FILES_MAX
            && placeholders.entry(directory).or_default().insert(name.into(), file).is_none()
        {
            self.count.fetch_add(1, Ordering::Release);
        }
    }

    fn take_all(&self) -> Placeholders {
        let mut placeholders = self.placeholders.lock();
        self.count.store(0, Ordering::Release);
        std::mem::take(&mut *placeholders)
    }
}

impl Writable<'_> {
    /// Makes a name in this directory the placeholder of a file.
    pub(crate) fn mark_deleted(&self, name: &[u8], file: &FileStat) {
        let exclusive = self.view.is_exclusive(&self.node);
        self.view.deleted.insert(self.node.id(), name, Deleted { identity: host::identity(file), exclusive });
    }

    /// Removes the names of files in a directory that were deleted while open, and keeps the files open instead.
    ///
    /// # Errors
    /// [`Error::NotEmpty`] when anything else is in it, and nothing is done.
    pub(crate) fn orphan_deleted_files(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        let view = self.view;
        let directory = host::open_directory(parent, name)?;
        let Some(names) = host::names(&directory, ORPHANS_MAX)? else { return Err(Error::NotEmpty) };
        let Some(holder) =
            view.nodes.find(self.host_entry, host::identity(&nix::sys::stat::fstat(&directory)?))
        else {
            return Err(Error::NotEmpty);
        };
        let full = view.deleted.nameless.lock().len() + names.len() > ORPHANS_MAX;
        for name in &names {
            let identity = host::identity(&host::stat(&directory, name)?);
            if full || !view.deleted.contains(holder.id, name, identity) {
                return Err(Error::NotEmpty);
            }
        }
        for name in names {
            self.orphan(&directory, &holder, name, caller)?;
        }
        Ok(())
    }

    fn orphan(
        &self,
        directory: &OwnedFd,
        holder: &HostNode,
        name: Arc<[u8]>,
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        let view = self.view;
        let stat = host::stat(directory, &name)?;
        let attributes = view.host_attributes(&stat);
        let file = Arc::new(match attributes.kind {
            FileType::Regular => host::open_data(directory, &name, OpenMode::Both)?,
            // A pipe, a socket or a link: all that is ever asked of it is its attributes.
            _ => host::open_itself(directory, &name)?,
        });
        if host::identity(&nix::sys::stat::fstat(&file)?) != host::identity(&stat) {
            return Err(Error::NotEmpty);
        }
        let node =
            view.nodes.intern(holder.host_entry, holder.id, &*name, host::identity(&stat), &attributes)?;
        {
            let _impersonation = self.impersonate(caller)?;
            nix::unistd::unlinkat(directory, &*name, UnlinkatFlags::NoRemoveDir)?;
        }
        view.deleted.forget(holder.id, &name);
        node.set_orphan(file);
        node.with_attr_cache(AttrCache::invalidate);
        view.fds.forget(node.id);
        node.remove_location(holder.id, &name);
        if stat.st_nlink <= 1 {
            view.nodes.forget_name(&node);
        }
        view.dir_cache.remove(holder.id, &name);
        view.deleted.nameless.lock().insert((holder.id, name), node);
        Ok(())
    }
}

impl View {
    /// Whether any deleted file still has a placeholder name.
    #[must_use]
    pub fn has_deleted_files(&self) -> bool {
        self.deleted.any()
    }

    /// Makes a placeholder name an ordinary one.
    pub fn undelete(&self, directory: &Node, name: &[u8]) {
        self.deleted.forget(directory.id(), name);
    }

    /// Removes the placeholder names in scratches, for a client that cannot do it any more.
    pub fn remove_deleted_files(&self) {
        for (directory, names) in self.deleted.take_all() {
            let Ok(directory) = self.directory(directory) else { continue };
            for (name, file) in names {
                // It may have been removed meanwhile.
                if file.exclusive
                    && host::stat(&*directory, &name).is_ok_and(|stat| host::identity(&stat) == file.identity)
                {
                    let _ = nix::unistd::unlinkat(&*directory, &*name, UnlinkatFlags::NoRemoveDir);
                }
            }
        }
    }

    /// Releases an orphan by the directory and name that it had last; false when there is none.
    #[must_use]
    pub fn release_orphan(&self, directory: NodeId, name: &[u8]) -> bool {
        let mut nameless = self.deleted.nameless.lock();
        if nameless.is_empty() {
            return false;
        }
        let Some(node) = nameless.remove(&(directory, name.into())) else { return false };
        if nameless.values().any(|other| other.id == node.id) {
            // Another name of the same file was removed with its directory, and it is still open by that.
            return true;
        }
        drop(nameless);
        // If it has a name elsewhere, it is reached by that from now on.
        let file = node.take_orphan();
        let is_last = |file: &OwnedFd| nix::sys::stat::fstat(file).map_or(true, |stat| stat.st_nlink == 0);
        if file.as_deref().is_none_or(is_last) {
            self.forget(&node);
        } else {
            node.with_attr_cache(AttrCache::invalidate);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_belongs_to_one_file_until_it_is_forgotten() {
        let files = DeletedFiles::default();
        assert!(!files.any() && !files.contains(7, b"name", (1, 2)));
        files.insert(7, b"name", Deleted { identity: (1, 2), exclusive: true });
        files.insert(7, b"other", Deleted { identity: (1, 3), exclusive: true });
        assert!(files.any() && files.contains(7, b"name", (1, 2)));
        assert!(!files.contains(7, b"name", (1, 3)), "another file has the name");
        assert!(!files.contains(8, b"name", (1, 2)), "in another directory");
        files.forget(7, b"name");
        files.forget(7, b"name");
        assert!(files.any() && !files.contains(7, b"name", (1, 2)));
        files.forget(7, b"other");
        assert!(!files.any());
    }
}
