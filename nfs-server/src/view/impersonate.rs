//! System calls with the caller's credentials, so that the host checks permissions on files that other programs of the host
//! can change too.
//!
//! A thread sets the caller's fsuid, fsgid and supplementary groups (setfsuid(2)), as knfsd does; root's file capabilities
//! go and come back with its fsuid (capabilities(7)). Check and use are then one system call: no name can be swapped in
//! between, access control lists apply, quotas are the caller's, and writing clears set-id bits.

use super::View;
use super::caller::Caller;
use super::error::Error;
use super::node::Node;
use super::tree::HostEntry;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// Who checks permissions on files that other programs of the host can change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostChecks {
    /// The view alone, by modes: the host does not know this process as its callers.
    Never,
    /// The host, with the credentials of whoever calls.
    AsCaller,
    /// The host, with those of this process: it is the user whom it serves.
    AsItself,
}

/// A thread's impersonation of a caller; ends when dropped.
pub(crate) struct Impersonation {
    /// The process's own uid and gid; `None` where nobody is impersonated.
    itself: Option<(u32, u32)>,
}

/// Prepares a thread that serves callers: no umask, and no CAP_SYS_RESOURCE, which overrides quotas. Threads that were not
/// prepared set modes afterwards.
pub(crate) fn prepare_thread() {
    system::prepare_thread();
}

/// Whether this thread has its own umask, 0.
pub(crate) fn has_no_umask() -> bool {
    system::has_no_umask()
}

impl View {
    /// Whether the host checks permissions on an entry's files: where other programs of the host can change them, and this
    /// process can impersonate. Only the view changes a scratch, and a store path does not change.
    pub(crate) fn impersonates(&self, host_entry: &HostEntry) -> bool {
        self.host_checks != HostChecks::Never && !host_entry.is_exclusive()
    }

    /// The same for a node's entry.
    pub(crate) fn impersonates_on(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(|host_entry| self.impersonates(host_entry))
    }

    /// Impersonates the caller on an entry's files, if the host checks permissions there.
    ///
    /// # Errors
    /// [`Error::Access`] when the kernel refuses the ids.
    pub(crate) fn impersonate(
        &self,
        host_entry: &HostEntry,
        caller: Caller<'_>,
    ) -> Result<Impersonation, Error> {
        let as_caller = self.host_checks == HostChecks::AsCaller && self.impersonates(host_entry);
        if !as_caller || (caller.uid, caller.gid) == self.identity {
            return Ok(Impersonation { itself: None });
        }
        system::set_fs_ids(caller)?;
        Ok(Impersonation { itself: Some(self.identity) })
    }
}

impl HostChecks {
    /// Root can impersonate its callers, on Linux.
    pub(crate) fn of_this_process(identity: (u32, u32)) -> HostChecks {
        if identity.0 == 0 && system::is_supported() { HostChecks::AsCaller } else { HostChecks::Never }
    }
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        if let Some(itself) = self.itself {
            system::restore_fs_ids(itself);
        }
    }
}

/// Other systems have no fsuid: all system calls are made as this process.
#[cfg(not(target_os = "linux"))]
mod other {
    use super::{Caller, Error};

    pub(super) fn is_supported() -> bool {
        false
    }

    pub(super) fn set_fs_ids(_: Caller<'_>) -> Result<(), Error> {
        Err(Error::NotSupported)
    }

    pub(super) fn restore_fs_ids(_: (u32, u32)) {}

    pub(super) fn prepare_thread() {}

    pub(super) fn has_no_umask() -> bool {
        false
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::cell::{Cell, RefCell};
    use std::sync::LazyLock;

    use nix::sched::{CloneFlags, unshare};
    use nix::sys::stat::Mode;
    use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities, set_thread_groups};
    use smallvec::SmallVec;

    use super::Caller;
    use super::Error;
    use crate::limits::GROUPS_MAX;

    /// An invalid id: setfsuid(2) returns the current fsuid and changes nothing.
    const NOBODY_AT_ALL: u32 = u32::MAX;

    /// Credentials of a thread.
    #[derive(PartialEq, Eq)]
    struct ThreadCredentials {
        uid: u32,
        gid: u32,
        groups: SmallVec<[u32; GROUPS_MAX]>,
    }

    thread_local! {
        /// The credentials last set. The supplementary groups stay set: root needs none, and the next call most likely
        /// has the same.
        static LAST: RefCell<Option<ThreadCredentials>> = const { RefCell::new(None) };
        static NO_UMASK: Cell<bool> = const { Cell::new(false) };
    }

    /// Tried once: root cannot in a user namespace that lacks ids, or without capabilities.
    static SUPPORTED: LazyLock<bool> = LazyLock::new(|| {
        const NOBODY: u32 = 65534;
        std::thread::spawn(|| set_fs_ids(Caller { uid: NOBODY, gid: NOBODY, groups: &[] }).is_ok())
            .join()
            .unwrap_or(false)
    });

    pub(super) fn is_supported() -> bool {
        *SUPPORTED
    }

    pub(super) fn set_fs_ids(caller: Caller<'_>) -> Result<(), Error> {
        let known = LAST.with_borrow(|last| {
            last.as_ref().is_some_and(|last| {
                (last.uid, last.gid, &last.groups[..]) == (caller.uid, caller.gid, caller.groups)
            })
        });
        if !known {
            let groups: SmallVec<[_; GROUPS_MAX]> =
                caller.groups.iter().map(|group| rustix::thread::Gid::from_raw(*group)).collect();
            LAST.set(None);
            set_thread_groups(&groups).map_err(|_| Error::Access)?;
        }
        let before = setfsgid(Gid::from_raw(caller.gid));
        setfsuid(Uid::from_raw(caller.uid));
        if known {
            return Ok(());
        }
        // setfsuid and setfsgid do not report failure.
        let uid = setfsuid(Uid::from_raw(NOBODY_AT_ALL));
        let gid = setfsgid(Gid::from_raw(NOBODY_AT_ALL));
        if (uid.as_raw(), gid.as_raw()) != (caller.uid, caller.gid) {
            setfsuid(nix::unistd::geteuid());
            setfsgid(before);
            return Err(Error::Access);
        }
        LAST.set(Some(ThreadCredentials { uid: caller.uid, gid: caller.gid, groups: caller.groups.into() }));
        Ok(())
    }

    pub(super) fn restore_fs_ids((uid, gid): (u32, u32)) {
        setfsuid(Uid::from_raw(uid));
        setfsgid(Gid::from_raw(gid));
    }

    pub(super) fn prepare_thread() {
        // The umask is shared by threads unless CLONE_FS is unshared.
        if unshare(CloneFlags::CLONE_FS).is_ok() {
            nix::sys::stat::umask(Mode::empty());
            NO_UMASK.set(true);
        }
        // CAP_SYS_RESOURCE overrides quotas whatever the fsuid. It is not needed.
        if let Ok(mut sets) = capabilities(None)
            && sets.effective.contains(CapabilitySet::SYS_RESOURCE)
        {
            sets.effective.remove(CapabilitySet::SYS_RESOURCE);
            let _ = set_capabilities(None, sets);
        }
    }

    pub(super) fn has_no_umask() -> bool {
        NO_UMASK.get()
    }
}
