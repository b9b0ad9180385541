//! Sets attributes.

use std::os::fd::OwnedFd;

use defences::Defence;
use nix::fcntl::AtFlags;
use nix::sys::stat::UtimensatFlags;
use nix::sys::time::TimeSpec;

use super::View;
use super::attributes::{Attributes, FileType, Permissions, Time, permission_bits};
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::fd_cache::OpenHandle;
use super::host;
use super::node::Node;
use super::quota::{FileBlocks, QuotaCounters};
#[cfg(target_os = "linux")]
use super::resolve::Resolved;
use super::resolve::{check_regular, gone};
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
    /// Time of the last read (`atime`).
    pub accessed: SetTime,
    /// Time of the last change of the contents (`mtime`).
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

impl SetAttributes {
    /// Nothing to set.
    pub const NONE: SetAttributes = SetAttributes {
        mode: None,
        uid: None,
        gid: None,
        size: None,
        accessed: SetTime::Keep,
        modified: SetTime::Keep,
    };

    pub(crate) fn size_for_host(&self) -> Result<i64, Error> {
        i64::try_from(self.size.unwrap_or(0)).map_err(|_| Error::TooLarge)
    }
}

impl Writable<'_> {
    /// Sets attributes, the length first and the times last.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] for what only the owner or root may do, and for set-id bits; [`Error::Stale`] when the file
    /// is gone.
    pub fn set(&self, set: &SetAttributes, caller: Caller<'_>) -> Result<Attributes, Error> {
        // A symlink has no mode of its own; knfsd ignores it too (`nfsd_setattr`).
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
        // The file's name was resolved, and may be gone since: what the caller named is the file.
        let result = self.set_on_host(set, caller).map_err(gone);
        // Also after an error: some may have been set.
        self.view.invalidate(&self.node);
        result?;
        self.attributes()
    }

    fn set_on_host(&self, set: &SetAttributes, caller: Caller<'_>) -> Result<(), Error> {
        if set.size.is_some() {
            check_regular(self.view.kind(&self.node))?;
        }
        let set = &self.view.clock.unshifted(set);
        let setting = || set.mode.map(|_| self.view.setting_modes.lock());
        if let Some(file) = self.opened(set.size.is_some(), caller)? {
            let _setting = setting();
            let _impersonation = self.impersonate(caller)?;
            return self.set_open(&file, set);
        }
        let resolved = match &self.node {
            Node::Host(node) => self.view.resolve(node)?,
            Node::Declared(_) => self.view.resolve_host_entry(self.host_entry()?)?,
        };
        let _setting = setting();
        #[cfg(target_os = "linux")]
        if self.host_checks_permissions() || *resolved.name == *host::ITSELF {
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

    fn set_open(&self, file: &OpenHandle, set: &SetAttributes) -> Result<(), Error> {
        let file = file.descriptor();
        if set.size.is_some() {
            resize(self.quota(), file, set.size_for_host()?)?;
        }
        if set.uid.is_some() || set.gid.is_some() {
            nix::unistd::fchown(file, set.uid.map(Into::into), set.gid.map(Into::into))?;
        }
        if let Some(mode) = set.mode {
            nix::sys::stat::fchmod(file, permission_bits(mode))?;
        }
        if let Some((accessed, modified)) = times(set) {
            nix::sys::stat::futimens(file, &accessed, &modified)?;
        }
        Ok(())
    }

    /// Sets attributes of exactly the resolved file, as the caller: its name may lead to another file by now.
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

    /// The file's open descriptor, if there is one; opened if `needed`, or if the file has no name any more.
    fn opened(&self, needed: bool, caller: Caller<'_>) -> Result<Option<OpenHandle>, Error> {
        let orphan = matches!(&self.node, Node::Host(node) if node.orphan().is_some());
        if needed || orphan {
            return self.view.data(&self.node, true, caller).map(Some);
        }
        Ok(self.view.fds.files.get(&self.node.id()).map(OpenHandle::Named))
    }
}

impl View {
    /// A node whose attributes may be set.
    ///
    /// # Errors
    /// [`Error::NotPermitted`] or [`Error::Access`] where owner and mode alone would refuse it; otherwise as
    /// [`View::writable`].
    pub fn writable_attributes(
        &self,
        node: &Node,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<Writable<'_>, Error> {
        self.writable(node.clone()).map_err(|error| match self.permissions(node) {
            Ok(permissions) => check_allowed(set, permissions, caller).err().unwrap_or(error),
            Err(_) => error,
        })
    }
}

/// Set-id bits are refused, not dropped: a program that needs them must learn that.
pub(crate) fn check_mode(mode: u32) -> Result<(), Error> {
    if mode & 0o6000 == 0 || !Defence::SetIdBits.stands() { Ok(()) } else { Err(Error::NotPermitted) }
}

fn check_allowed(set: &SetAttributes, node: Permissions, caller: Caller<'_>) -> Result<(), Error> {
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

/// Gives an open file a length, if the quota that it counts in has room for it.
pub(crate) fn resize(
    quota: Option<(&QuotaCounters, &FileBlocks)>,
    file: &OwnedFd,
    size: i64,
) -> Result<(), Error> {
    let Some((quota, blocks)) = quota else { return Ok(nix::unistd::ftruncate(file, size)?) };
    let reservation = quota.reserve_whole(blocks, size.try_into().unwrap_or(0))?;
    let result = nix::unistd::ftruncate(file, size);
    match result {
        Ok(()) => quota.resized(blocks, file),
        Err(_) => quota.settle(blocks, reservation, file),
    }
    Ok(result?)
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
            SetTime::To(time) => TimeSpec::new(time.seconds(), time.nanoseconds().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: Permissions = Permissions { mode: 0o642, uid: 10, gid: 20 };
    const OWNER: Caller<'static> = Caller { uid: 10, gid: 20, groups: &[30] };
    const MEMBER: Caller<'static> = Caller { uid: 11, gid: 20, groups: &[] };
    const OTHER: Caller<'static> = Caller { uid: 12, gid: 21, groups: &[] };

    #[track_caller]
    fn assert_allowed(set: SetAttributes, expected: [Result<(), Error>; 4]) {
        let allowed = [OWNER, MEMBER, OTHER, Caller::ROOT].map(|caller| check_allowed(&set, FILE, caller));
        assert_eq!(allowed, expected);
    }

    #[test]
    fn the_mode_is_for_the_owner_and_set_id_bits_are_for_nobody() {
        let denied = Err(Error::NotPermitted);
        let mode = |mode| SetAttributes { mode: Some(mode), ..SetAttributes::NONE };
        assert_allowed(mode(0o1777), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(mode(0o4000), [denied; 4]);
        assert_allowed(mode(0o2000), [denied; 4]);
    }

    #[test]
    fn the_owner_gives_a_file_to_its_own_groups_only() {
        let denied = Err(Error::NotPermitted);
        let owner = |uid, gid| SetAttributes { uid, gid, ..SetAttributes::NONE };
        assert_allowed(owner(Some(10), None), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(owner(Some(11), None), [denied, denied, denied, Ok(())]);
        assert_allowed(owner(None, Some(30)), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(owner(None, Some(20)), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(owner(None, Some(21)), [denied, denied, denied, Ok(())]);
    }

    #[test]
    fn the_length_is_for_the_owner_and_whoever_may_write() {
        let set = SetAttributes { size: Some(1), ..SetAttributes::NONE };
        assert_allowed(set, [Ok(()), Err(Error::Access), Ok(()), Ok(())]);
    }

    #[test]
    fn explicit_times_are_for_the_owner_and_the_present_is_for_whoever_may_write() {
        let (to, denied) = (SetTime::To(Time::new(7, 0)), Err(Error::NotPermitted));
        let times = |accessed, modified| SetAttributes { accessed, modified, ..SetAttributes::NONE };
        assert_allowed(times(to, SetTime::Keep), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(times(SetTime::Keep, to), [Ok(()), denied, denied, Ok(())]);
        assert_allowed(times(SetTime::Now, SetTime::Now), [Ok(()), Err(Error::Access), Ok(()), Ok(())]);
        assert_allowed(SetAttributes::NONE, [Ok(()); 4]);
    }
}
