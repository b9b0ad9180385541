//! Acting on the host as the caller, so that the host's own rules decide what a caller may do with files that other
//! programs of the host can change too.
//!
//! A thread takes the caller's user, group and supplementary groups for its calls on the file system alone (setfsuid(2)), as the
//! kernel's own NFS server does. Root's power over files goes with its user number (capabilities(7)) and comes back with it.
//! What a check of ours would decide beforehand the kernel then decides together with the deed: nobody can swap a name in
//! between, access control lists count, quotas are the caller's, and writing clears set-id bits.

use super::View;
use super::caller::Caller;
use super::error::Error;
use super::node::Node;
use super::tree::HostEntry;

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use other as system;

/// The time for which a thread acts as somebody; it is itself again when this is dropped.
pub(crate) struct Impersonation {
    /// What it is otherwise; `None` where it acts as itself.
    itself: Option<(u32, u32)>,
}

/// Prepares a thread that serves callers: what it makes gets the mode that was asked for and no other, and nobody's
/// limits are passed over. Other threads make up for their umask afterwards.
pub(crate) fn prepare_thread() {
    system::prepare_thread();
}

/// Whether this thread's umask takes nothing from the mode of what it makes.
pub(crate) fn has_no_umask() -> bool {
    system::has_no_umask()
}

impl View {
    /// Whether the host's rules decide about the files of a branch, for each caller: where other programs of the host
    /// can change them, as long as this process can act as others. A scratch is the view's alone, and a store path
    /// cannot change.
    pub(crate) fn impersonates(&self, host_entry: &HostEntry) -> bool {
        self.can_impersonate && !host_entry.is_exclusive()
    }

    /// The same of the branch that a node belongs to.
    pub(crate) fn impersonates_on(&self, node: &Node) -> bool {
        self.host_entry(node).is_some_and(|host_entry| self.impersonates(host_entry))
    }

    /// Acts as the caller on the files of a branch from here on, if the host's rules decide about them.
    ///
    /// # Errors
    /// [`Error::Access`] when the host knows no such user.
    pub(crate) fn impersonate(
        &self,
        host_entry: &HostEntry,
        caller: Caller<'_>,
    ) -> Result<Impersonation, Error> {
        if !self.impersonates(host_entry) || (caller.uid, caller.gid) == self.identity {
            return Ok(Impersonation { itself: None });
        }
        system::set_fs_ids(caller)?;
        Ok(Impersonation { itself: Some(self.identity) })
    }
}

/// Whether this process can act as others: it is root, on a system that lets threads do so.
pub(crate) fn is_supported(identity: (u32, u32)) -> bool {
    identity.0 == 0 && system::is_supported()
}

impl Drop for Impersonation {
    fn drop(&mut self) {
        if let Some(itself) = self.itself {
            system::restore_fs_ids(itself);
        }
    }
}

/// Where threads cannot act as others, everything is done as who the server is.
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

    /// No user: setfsuid(2) answers who the thread acts as, and changes nothing.
    const NOBODY_AT_ALL: u32 = u32::MAX;

    /// Somebody that a thread acted as.
    #[derive(PartialEq, Eq)]
    struct Known {
        uid: u32,
        gid: u32,
        groups: SmallVec<[u32; GROUPS_MAX]>,
    }

    thread_local! {
        /// Whom this thread acted as last. Its supplementary groups stay behind: root needs none, and the next call most
        /// likely comes from the same user.
        static LAST: RefCell<Option<Known>> = const { RefCell::new(None) };
        static NO_UMASK: Cell<bool> = const { Cell::new(false) };
    }

    /// Tried once: in a user namespace with few users, or without the capabilities, root cannot act as everybody.
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
        // These calls do not say whether they did anything.
        let uid = setfsuid(Uid::from_raw(NOBODY_AT_ALL));
        let gid = setfsgid(Gid::from_raw(NOBODY_AT_ALL));
        if (uid.as_raw(), gid.as_raw()) != (caller.uid, caller.gid) {
            setfsuid(nix::unistd::geteuid());
            setfsgid(before);
            return Err(Error::Access);
        }
        LAST.set(Some(Known { uid: caller.uid, gid: caller.gid, groups: caller.groups.into() }));
        Ok(())
    }

    pub(super) fn restore_fs_ids((uid, gid): (u32, u32)) {
        setfsuid(Uid::from_raw(uid));
        setfsgid(Gid::from_raw(gid));
    }

    pub(super) fn prepare_thread() {
        // The umask belongs to what threads share, unless one goes its own way.
        if unshare(CloneFlags::CLONE_FS).is_ok() {
            nix::sys::stat::umask(Mode::empty());
            NO_UMASK.set(true);
        }
        // It lets its owner pass over quotas, and no user number takes it away. Without it nothing is lost.
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
