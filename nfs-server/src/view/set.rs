//! Changes to what is there: data and attributes.

use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::UtimensatFlags;
use nix::sys::time::TimeSpec;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType, Permissions, Time};
use super::blocking::Blocking;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::fd_cache::Open;
use super::host;
use super::node::Node;
#[cfg(target_os = "linux")]
use super::resolve::Resolved;
use super::resolve::check_regular;
use super::writable::Writable;

/// Attributes to set; what is `None` or [`SetTime::Keep`] stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SetAttributes {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Length of a regular file.
    pub size: Option<u64>,
    /// Last read.
    pub accessed: SetTime,
    /// Last change of the contents.
    pub modified: SetTime,
}

/// What to do with a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetTime {
    /// Leave it.
    #[default]
    Keep,
    /// Set it to the host's present time.
    Now,
    /// Set it.
    To(Time),
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOutcome {
    /// Bytes written: fewer than asked for when the disk filled up.
    pub count: usize,
    /// Whether they must reach the disk before they count as written.
    pub durable: bool,
    /// The file's attributes after it.
    pub attributes: Attributes,
}

/// Data on its way into a file.
#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
pub trait Payload {
    /// Bytes of it.
    fn len(&self) -> usize;

    /// Puts it into a file from `offset` on, and says how much of it got there.
    ///
    /// # Errors
    /// What the host says, if nothing got there.
    fn put(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error>;
}

impl SetAttributes {
    pub(crate) fn size_for_host(&self) -> Result<i64, Error> {
        i64::try_from(self.size.unwrap_or(0)).map_err(|_| Error::TooLarge)
    }
}

impl Writable<'_> {
    /// Writes data at `offset`. The owner may write whatever the mode says: a descriptor stays writable after a
    /// change of mode, and the client has checked the mode when the file was opened.
    ///
    /// In a scratch, written is done: it does not outlive the build. In a graft `sync` makes it reach the disk.
    ///
    /// # Errors
    /// [`Error::Access`], [`Error::NoSpace`], [`Error::TooLarge`] and what else the host says; [`Error::WouldBlock`] as
    /// `blocking` says.
    pub fn write(
        &self,
        offset: u64,
        data: impl Payload,
        sync: bool,
        caller: Caller<'_>,
        blocking: Blocking,
    ) -> Result<WriteOutcome, Error> {
        check_regular(self.view.kind(&self.node))?;
        if !caller.owns(self.permissions()?) {
            self.view.check(&self.node, caller, AccessMask::Write)?;
        }
        let outlives = !self.host_entry()?.scratch;
        blocking.check(sync && outlives)?;
        let file = self.open_file(caller)?;
        let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
        start.checked_add(data.len() as i64).ok_or(Error::TooLarge)?;
        let count = {
            // Writing clears set-id bits and counts for quotas as the caller.
            let _impersonation = self.impersonate(caller)?;
            data.put(file.descriptor().as_fd(), offset)?
        };
        if sync && outlives {
            nix::unistd::fdatasync(file.descriptor())?;
        }
        let generation = self.view.with_attr_cache(&self.node, AttrCache::invalidate);
        let attributes = self.view.host_attributes(&nix::sys::stat::fstat(file.descriptor())?);
        self.view.with_attr_cache(&self.node, |cache| {
            generation.map(|generation| cache.store(generation, &attributes))
        });
        Ok(WriteOutcome { count, durable: sync || !outlives, attributes })
    }

    /// Makes what was written reach the disk, where it is to outlive the view.
    ///
    /// # Errors
    /// What the host says; [`Error::WouldBlock`] as `blocking` says.
    pub fn commit(&self, caller: Caller<'_>, blocking: Blocking) -> Result<(), Error> {
        check_regular(self.view.kind(&self.node))?;
        if !self.host_entry()?.scratch {
            blocking.check(true)?;
            nix::unistd::fsync(self.open_file(caller)?.descriptor())?;
        }
        Ok(())
    }

    /// Sets attributes, the length first and the times last.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for what only the owner or root may do, and for set-id bits.
    pub fn set(&self, set: &SetAttributes, caller: Caller<'_>) -> Result<Attributes, Error> {
        // A link has no mode of its own. The kernel's server takes no notice of one either (`nfsd_setattr`).
        let set = &match self.view.kind(&self.node) {
            FileType::Symlink => SetAttributes { mode: None, ..*set },
            _ => *set,
        };
        if *set == SetAttributes::default() {
            return self.attributes();
        }
        if self.host_checks_permissions() {
            check_mode(set.mode.unwrap_or(0))?;
        } else {
            check_allowed(set, self.permissions()?, caller)?;
        }
        let result = self.set_on_host(set, caller);
        // Part of it may have been done.
        self.view.invalidate(&self.node);
        result?;
        self.attributes()
    }

    fn set_on_host(&self, set: &SetAttributes, caller: Caller<'_>) -> Result<(), Error> {
        if set.size.is_some() {
            check_regular(self.view.kind(&self.node))?;
        }
        if let Some(file) = self.opened(set.size.is_some(), caller)? {
            let _impersonation = self.impersonate(caller)?;
            return set_open(&file, set);
        }
        let resolved = match &self.node {
            Node::Host(node) => self.view.resolve(node)?,
            Node::Declared(_) => self.view.resolve_host_entry(self.host_entry()?)?,
        };
        #[cfg(target_os = "linux")]
        if self.host_checks_permissions() {
            return self.set_itself(&resolved, set, caller);
        }
        if set.uid.is_some() || set.gid.is_some() {
            let (uid, gid) = (set.uid.map(Into::into), set.gid.map(Into::into));
            nix::unistd::fchownat(
                &*resolved.directory,
                &*resolved.name,
                uid,
                gid,
                AtFlags::AT_SYMLINK_NOFOLLOW,
            )?;
        }
        if let Some(mode) = set.mode {
            host::set_mode(&*resolved.directory, &resolved.name, mode)?;
        }
        if let Some((accessed, modified)) = times(set) {
            nix::sys::stat::utimensat(
                &*resolved.directory,
                &*resolved.name,
                &accessed,
                &modified,
                UtimensatFlags::NoFollowSymlink,
            )?;
        }
        Ok(())
    }

    /// Sets attributes of exactly the file that was located, as the caller: its name may lead to another by now.
    #[cfg(target_os = "linux")]
    fn set_itself(&self, resolved: &Resolved, set: &SetAttributes, caller: Caller<'_>) -> Result<(), Error> {
        let file = host::open_itself(&*resolved.directory, &resolved.name)?;
        if host::identity(&nix::sys::stat::fstat(&file)?) != host::identity(&resolved.stat) {
            return Err(Error::Stale);
        }
        let _impersonation = self.impersonate(caller)?;
        if set.uid.is_some() || set.gid.is_some() {
            let (uid, gid) = (set.uid.map(Into::into), set.gid.map(Into::into));
            nix::unistd::fchownat(&file, "", uid, gid, AtFlags::AT_EMPTY_PATH)?;
        }
        if let Some(mode) = set.mode {
            host::set_own_mode(&file, mode)?;
        }
        if let Some((accessed, modified)) = times(set) {
            host::set_own_times(&file, &accessed, &modified)?;
        }
        Ok(())
    }

    /// The file as it is open already, which saves looking for its name; opened for the purpose where it has to be, or
    /// where it has no name any more.
    fn opened(&self, needed: bool, caller: Caller<'_>) -> Result<Option<Open>, Error> {
        let orphan = matches!(&self.node, Node::Host(node) if node.orphan().is_some());
        if needed || orphan {
            return self.open_file(caller).map(Some);
        }
        Ok(self.view.fds.files.get(&self.node.id()).map(Open::Named))
    }

    fn open_file(&self, caller: Caller<'_>) -> Result<Open, Error> {
        self.view.data(&self.node, true, caller)
    }
}

/// Set-id bits are refused, not dropped: a program that needs them has to hear it.
pub(crate) fn check_mode(mode: u32) -> Result<(), Error> {
    if mode & 0o6000 == 0 { Ok(()) } else { Err(Error::NotPermitted) }
}

pub(crate) fn check_allowed(set: &SetAttributes, node: Permissions, caller: Caller<'_>) -> Result<(), Error> {
    let owns = caller.owns(node);
    if let Some(mode) = set.mode {
        check_mode(mode)?;
        if !owns {
            return Err(Error::NotPermitted);
        }
    }
    if caller.uid != 0 {
        let new_owner = set.uid.is_some_and(|uid| uid != node.uid);
        let foreign_group = set.gid.is_some_and(|gid| gid != node.gid && !caller.is_in(gid));
        let chown = set.uid.is_some() || set.gid.is_some();
        if new_owner || foreign_group || (chown && !owns) {
            return Err(Error::NotPermitted);
        }
    }
    let writes = || caller.may(AccessMask::Write, FileType::Regular, node);
    if set.size.is_some() && !owns && !writes() {
        return Err(Error::Access);
    }
    let times = [set.accessed, set.modified];
    if !owns && times.iter().any(|time| matches!(time, SetTime::To(_))) {
        return Err(Error::NotPermitted);
    }
    if !owns && times.contains(&SetTime::Now) && !writes() {
        return Err(Error::Access);
    }
    Ok(())
}

fn set_open(file: &Open, set: &SetAttributes) -> Result<(), Error> {
    if set.size.is_some() {
        nix::unistd::ftruncate(file.descriptor(), set.size_for_host()?)?;
    }
    if set.uid.is_some() || set.gid.is_some() {
        nix::unistd::fchown(file.descriptor(), set.uid.map(Into::into), set.gid.map(Into::into))?;
    }
    if let Some(mode) = set.mode {
        nix::sys::stat::fchmod(file.descriptor(), host::permission_bits(mode))?;
    }
    if let Some((accessed, modified)) = times(set) {
        nix::sys::stat::futimens(file.descriptor(), &accessed, &modified)?;
    }
    Ok(())
}

fn times(set: &SetAttributes) -> Option<(TimeSpec, TimeSpec)> {
    if (set.accessed, set.modified) == (SetTime::Keep, SetTime::Keep) {
        return None;
    }
    Some((set.accessed.for_host(), set.modified.for_host()))
}

impl SetTime {
    fn for_host(self) -> TimeSpec {
        match self {
            SetTime::Keep => TimeSpec::UTIME_OMIT,
            SetTime::Now => TimeSpec::UTIME_NOW,
            SetTime::To(time) => TimeSpec::new(time.seconds.into(), time.nanoseconds.into()),
        }
    }
}

impl Payload for &[u8] {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn put(self, file: BorrowedFd<'_>, offset: u64) -> Result<usize, Error> {
        let start = i64::try_from(offset).map_err(|_| Error::TooLarge)?;
        let mut count = 0;
        while count < self.len() {
            match nix::sys::uio::pwrite(file, &self[count..], start + count as i64) {
                Ok(0) => return Err(Error::Io),
                Ok(written) => count += written,
                Err(Errno::EINTR) => {}
                // What was written stays written; the next request meets the error itself.
                Err(_) if count > 0 => break,
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(count)
    }
}
