//! Silly renames: files that the NFS client keeps open behind their last name.
//!
//! A client that removes a file which is still open renames it instead, in its directory, and removes that name when the
//! file is closed (Linux: `fs/nfs/unlink.c`; macOS: `nfs_sillyrename` in `nfs_vnops.c`). Such a file counts as deleted: its
//! name is not listed and does not keep its directory. What makes a file one of them is what the client *did*, never its
//! name alone: it looked for a name of its own form and heard that there is none, and then renamed a file of that
//! directory to it. Everything else that has such a name is a file like any other, and so is what a later look-up names.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lru::LruCache;
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
use super::node::{HostNode, NodeId};
use super::writable::Writable;
use crate::limits::{ORPHANS_MAX, SILLY_LOOKUPS_MAX, SILLY_RENAMES_MAX};

/// What every such name begins with.
const PREFIX: &[u8] = b".nfs";

/// The form of the names that the NFS client of a system gives to deleted files that are still open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SillyNames {
    /// `.nfs`, the file's number in 16 hexadecimal digits, a counter in 8.
    Linux,
    /// `.nfs.`, a counter in 8 hexadecimal digits, `.`, a process in 4: macOS and the BSDs. The client looks the name up once
    /// more after the rename.
    Bsd,
}

/// A name in a directory.
type Name = (NodeId, Arc<[u8]>);

/// The files of a view that its client keeps.
pub(crate) struct SillyRenames {
    form: SillyNames,
    /// Names of that form that the client looked for last, and that were not there.
    free: Mutex<LruCache<Name, ()>>,
    renamed: Mutex<FxHashMap<Name, Renamed>>,
    /// Files whose directory is gone too, by the name that their client knows them by.
    nameless: Mutex<FxHashMap<Name, Arc<HostNode>>>,
}

/// A file that was renamed so.
struct Renamed {
    /// Device and inode number.
    identity: (u64, u64),
    /// Whether the place is the view's alone, so that a leftover may be removed.
    exclusive: bool,
    /// Look-ups of the name that belong to the rename itself.
    lookups: u32,
}

impl SillyNames {
    /// Whether a client names a file of this number so.
    fn fits(self, name: &[u8], fileid: u64) -> bool {
        match self {
            SillyNames::Linux => {
                let digits = format!("{fileid:016x}");
                name.strip_prefix(PREFIX)
                    .and_then(|rest| rest.strip_prefix(digits.as_bytes()))
                    .is_some_and(|counter| is_number(counter, 8))
            }
            SillyNames::Bsd => {
                let parts = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(b"."));
                parts
                    .and_then(|parts| parts.split_at_checked(8))
                    .and_then(|(counter, rest)| Some((counter, rest.strip_prefix(b".")?)))
                    .is_some_and(|(counter, process)| is_number(counter, 8) && is_number(process, 4))
            }
        }
    }

    /// How often the client itself looks for the name after the rename.
    fn lookups(self) -> u32 {
        match self {
            SillyNames::Linux => 0,
            SillyNames::Bsd => 1,
        }
    }
}

/// Whether these are as many small hexadecimal digits.
fn is_number(digits: &[u8], count: usize) -> bool {
    digits.len() == count && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
}

impl SillyRenames {
    pub(crate) fn new(form: SillyNames) -> SillyRenames {
        let capacity = NonZeroUsize::new(SILLY_LOOKUPS_MAX).unwrap_or(NonZeroUsize::MIN);
        SillyRenames {
            form,
            free: Mutex::new(LruCache::new(capacity)),
            renamed: Mutex::default(),
            nameless: Mutex::default(),
        }
    }

    /// Takes note that somebody looked for a name, and whether it was there.
    pub(crate) fn looked_up(&self, directory: NodeId, name: &[u8], found: bool) {
        if !name.starts_with(PREFIX) {
            return;
        }
        if !found {
            self.free.lock().put((directory, name.into()), ());
            return;
        }
        let mut renamed = self.renamed.lock();
        let key = (directory, name.into());
        match renamed.get_mut(&key) {
            Some(file) if file.lookups > 0 => file.lookups -= 1,
            // A program names it, so that it is the program's.
            Some(_) => drop(renamed.remove(&key)),
            None => {}
        }
    }

    /// Takes note that a name leads elsewhere now, or nowhere.
    pub(crate) fn forget(&self, directory: NodeId, name: &[u8]) {
        if name.starts_with(PREFIX) {
            self.renamed.lock().remove(&(directory, name.into()));
        }
    }

    /// Whether a name is that of a deleted file, and leads to it.
    pub(crate) fn is_deleted(&self, directory: NodeId, name: &[u8], identity: (u64, u64)) -> bool {
        name.starts_with(PREFIX)
            && self
                .renamed
                .lock()
                .get(&(directory, name.into()))
                .is_some_and(|file| file.identity == identity)
    }

    /// Whether there are deleted files whose names are still there.
    pub(crate) fn any(&self) -> bool {
        !self.renamed.lock().is_empty()
    }

    /// Forgets everything, and closes what is open.
    pub(crate) fn clear(&self) {
        self.renamed.lock().clear();
        self.nameless.lock().clear();
    }
}

impl Writable<'_> {
    /// Takes note of a new name in this directory that a file of the same directory was given, where nothing had that name.
    pub(crate) fn note_silly_rename(&self, name: &[u8], file: &FileStat) {
        let silly = &self.view.silly;
        if !name.starts_with(PREFIX) {
            return;
        }
        let key = (self.node.id(), name.into());
        let expected = silly.free.lock().pop(&key).is_some();
        let attributes = self.view.host_attributes(file);
        if !expected || attributes.kind == FileType::Directory || !silly.form.fits(name, attributes.fileid) {
            return;
        }
        let mut renamed = silly.renamed.lock();
        if renamed.len() < SILLY_RENAMES_MAX {
            let exclusive = self.view.is_exclusive(&self.node);
            let (identity, lookups) = (host::identity(file), silly.form.lookups());
            renamed.insert(key, Renamed { identity, exclusive, lookups });
        }
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
        let full = view.silly.nameless.lock().len() + names.len() > ORPHANS_MAX;
        for name in &names {
            let identity = host::identity(&host::stat(&directory, name)?);
            if full || !view.silly.is_deleted(holder.id, name, identity) {
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
        view.silly.forget(holder.id, &name);
        node.set_orphan(file);
        node.with_attr_cache(AttrCache::invalidate);
        view.fds.forget(node.id);
        node.remove_location(holder.id, &name);
        if stat.st_nlink <= 1 {
            view.nodes.forget_name(&node);
        }
        view.dir_cache.remove(holder.id, &name);
        view.silly.nameless.lock().insert((holder.id, name), node);
        Ok(())
    }
}

impl View {
    /// Whether there are deleted files whose names the client has yet to remove.
    #[must_use]
    pub fn has_deleted_files(&self) -> bool {
        self.silly.any()
    }

    /// Removes the names that deleted files still have in scratches, for a client that cannot do it any more.
    pub fn remove_deleted_files(&self) {
        for ((directory, name), file) in self.silly.renamed.lock().drain() {
            // What is gone meanwhile needs no removing.
            if file.exclusive
                && let Ok(directory) = self.directory(directory)
                && host::stat(&*directory, &name).is_ok_and(|stat| host::identity(&stat) == file.identity)
            {
                let _ = nix::unistd::unlinkat(&*directory, &*name, UnlinkatFlags::NoRemoveDir);
            }
        }
    }

    /// Drops a file that has lost its name together with its directory. Its client asks for that when it closes
    /// the file, by the directory and name that it knew.
    #[must_use]
    pub fn release_orphan(&self, directory: NodeId, name: &[u8]) -> bool {
        if !name.starts_with(PREFIX) {
            return false;
        }
        let mut nameless = self.silly.nameless.lock();
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
            node.with_attr_cache(AttrCache::invalidate);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_linux_holds_the_files_own_number() {
        let fits = |name: &str| SillyNames::Linux.fits(name.as_bytes(), 0x0076_202f);
        assert!(fits(".nfs000000000076202f00000088") && fits(".nfs000000000076202ffffffff0"));
        for other in [
            ".nfs000000000076202e00000088",
            ".nfs000000000076202F00000088",
            ".nfs000000000076202f0000008",
            ".nfs000000000076202f000000888",
            ".nfs000000000076202f0000008g",
            ".nfs.0076202f.0001",
            ".nfs",
        ] {
            assert!(!fits(other), "{other}");
        }
        assert!(SillyNames::Linux.fits(b".nfs800100000076202f00000001", 0x8001_0000_0076_202f));
    }

    #[test]
    fn a_name_of_a_bsd_holds_a_counter_and_a_process() {
        let fits = |name: &str| SillyNames::Bsd.fits(name.as_bytes(), 1);
        assert!(fits(".nfs.20051025.01ff"));
        for other in [
            ".nfs.1.2",
            ".nfs.20051025.01FF",
            ".nfs.20051025.1ff",
            ".nfs.20051025001ff",
            ".nfs.20051025.01ff0",
            ".nfs.2005102.001ff",
            ".nfs20051025.01ff",
            ".nfs000000000000000100000088",
        ] {
            assert!(!fits(other), "{other}");
        }
    }

    #[test]
    fn what_is_looked_up_again_is_a_programs() {
        for (form, own) in [(SillyNames::Linux, 0), (SillyNames::Bsd, 1)] {
            let silly = SillyRenames::new(form);
            let renamed = Renamed { identity: (1, 2), exclusive: true, lookups: form.lookups() };
            silly.renamed.lock().insert((7, (*b".nfs.x").into()), renamed);
            for _ in 0..own {
                silly.looked_up(7, b".nfs.x", true);
                assert!(silly.is_deleted(7, b".nfs.x", (1, 2)), "{form:?}");
            }
            assert!(!silly.is_deleted(7, b".nfs.x", (1, 3)), "another file has the name");
            silly.looked_up(7, b".nfs.x", true);
            assert!(!silly.is_deleted(7, b".nfs.x", (1, 2)), "{form:?}");
        }
    }

    #[test]
    fn names_that_were_looked_for_are_remembered_for_a_while() {
        let silly = SillyRenames::new(SillyNames::Linux);
        for name in 0..2 * SILLY_LOOKUPS_MAX {
            silly.looked_up(1, format!(".nfs{name}").as_bytes(), false);
        }
        assert_eq!(silly.free.lock().len(), SILLY_LOOKUPS_MAX);
        silly.looked_up(1, b"name", false);
        assert!(!silly.free.lock().contains(&(1, (*b"name").into())));
    }
}
