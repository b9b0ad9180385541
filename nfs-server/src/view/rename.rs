//! Renames.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType};
use super::caller::{AccessMask, Caller};
use super::case_folding::folded;
use super::error::Error;
use super::host;
use super::writable::{Writable, check_old_name};

impl Writable<'_> {
    /// Moves a name of this directory to another directory, replacing what has that name there.
    ///
    /// `deletes` is asked when the name is moved to a free name in the same directory: whether that is how the caller's
    /// protocol deletes an open file. The new name is hidden then.
    ///
    /// # Errors
    /// [`Error::CrossDevice`] between parts of the view, so that programs copy instead; [`Error::ReadOnly`] over
    /// the name of an entry.
    pub fn rename(
        &self,
        from: &[u8],
        to_directory: &Writable<'_>,
        to: &[u8],
        caller: Caller<'_>,
        deletes: &dyn Fn(&Attributes) -> bool,
    ) -> Result<(), Error> {
        check_old_name(from)?;
        check_old_name(to)?;
        if self.host_entry != to_directory.host_entry || self.is_declared(from) {
            return Err(Error::CrossDevice);
        }
        let _changing = self.view.changing_names.lock();
        let source = self.names(caller)?;
        let target = to_directory.names(caller)?;
        if to_directory.is_declared(to) {
            return Err(Error::ReadOnly);
        }
        let moved = host::stat(&*source, from)?;
        let replaced = match host::stat(&*target, to) {
            Ok(stat) => Some(stat),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(errno.into()),
        };
        let same = replaced.as_ref().is_some_and(|stat| host::identity(stat) == host::identity(&moved));
        let other_case = self.is_other_case(from, to_directory, to);
        if same && !other_case {
            // POSIX: two names of one file, nothing to do.
            return Ok(());
        }
        let replaced = replaced.filter(|_| !same);
        self.check_move(&moved, to_directory, caller)?;
        if let Some(stat) = &replaced {
            to_directory.check_sticky(caller, self.view.host_attributes(stat).permissions())?;
        }
        self.rename_on_host((&source, from), (&target, to), caller)?;
        if let Some(stat) = &replaced {
            let links = self.view.host_attributes(stat).links;
            to_directory.name_removed(to, host::identity(stat), links);
        }
        self.name_moved(from, to_directory, to, &moved);
        let to_free_name = replaced.is_none() && self.node.id() == to_directory.node.id();
        if to_free_name && deletes(&self.view.host_attributes(&moved)) {
            self.mark_deleted(to, &moved);
        }
        Ok(())
    }

    /// Whether the new name differs in case only, on a case-insensitive file system.
    fn is_other_case(&self, from: &[u8], to_directory: &Writable<'_>, to: &[u8]) -> bool {
        let same_directory = self.node.id() == to_directory.node.id();
        same_directory && from != to && !self.view.case_sensitive(&self.node) && folded(from) == folded(to)
    }

    fn check_move(
        &self,
        moved: &FileStat,
        to_directory: &Writable<'_>,
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        let attributes = self.view.host_attributes(moved);
        self.check_sticky(caller, attributes.permissions())?;
        let moves = self.node.id() != to_directory.node.id() && !self.host_checks_permissions();
        if attributes.kind == FileType::Directory && moves {
            // Its `..` changes.
            caller.check(AccessMask::Write, FileType::Directory, attributes.permissions())?;
        }
        Ok(())
    }

    fn rename_on_host(
        &self,
        (source, from): (&OwnedFd, &[u8]),
        (target, to): (&OwnedFd, &[u8]),
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        let rename = || -> Result<(), Error> {
            let _impersonation = self.impersonate(caller)?;
            Ok(nix::fcntl::renameat(source, from, target, to)?)
        };
        match rename() {
            Err(Error::NotEmpty | Error::Exists) => {
                self.orphan_deleted_files(target, to, caller)?;
                rename()
            }
            result => result,
        }
    }

    fn name_moved(&self, from: &[u8], to_directory: &Writable<'_>, to: &[u8], moved: &FileStat) {
        let (source, target) = (self.node.id(), to_directory.node.id());
        let node = self.view.nodes.find(self.host_entry, host::identity(moved));
        self.view.deleted.forget(source, from);
        self.view.dir_cache.remove(source, from);
        self.view.dir_cache.add(target, to, node.as_ref().map(|node| node.id));
        self.view.invalidate(&self.node);
        self.view.invalidate(&to_directory.node);
        if let Some(node) = node {
            node.remove_location(source, from);
            node.add_location(target, to);
            node.with_attr_cache(AttrCache::invalidate);
        }
    }
}
