//! A store that is mounted read-only over itself, as NixOS has it: Nix makes it writable for itself alone, and so does
//! loopbox (`makeStoreWritable` in Nix's `local-store.cc`).

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use rustix::fs::{StatVfsMountFlags, statvfs};

/// Flags of a mount that stay as they are when it becomes writable.
const KEPT: [(StatVfsMountFlags, MsFlags); 6] = [
    (StatVfsMountFlags::NOSUID, MsFlags::MS_NOSUID),
    (StatVfsMountFlags::NODEV, MsFlags::MS_NODEV),
    (StatVfsMountFlags::NOEXEC, MsFlags::MS_NOEXEC),
    (StatVfsMountFlags::NOATIME, MsFlags::MS_NOATIME),
    (StatVfsMountFlags::NODIRATIME, MsFlags::MS_NODIRATIME),
    (StatVfsMountFlags::RELATIME, MsFlags::MS_RELATIME),
];

/// The store could not be made writable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WritableError {
    /// Nothing can be found out about it.
    #[error("cannot examine the mount of {store:?}")]
    Look {
        /// The store directory.
        store: PathBuf,
        /// The I/O error.
        source: Errno,
    },
    /// There can be no mounts of this process alone.
    #[error("{store:?} is mounted read-only, and loopbox cannot have a mount namespace of its own")]
    Namespace {
        /// The store directory.
        store: PathBuf,
        /// The I/O error.
        source: Errno,
    },
    /// The kernel does not allow it.
    #[error("{store:?} is mounted read-only, and cannot be mounted writable for loopbox alone")]
    Remount {
        /// The store directory.
        store: PathBuf,
        /// The I/O error.
        source: Errno,
    },
    /// Not the mount is read-only, but what is mounted.
    #[error("the file system of {store:?} is read-only")]
    FileSystem {
        /// The store directory.
        store: PathBuf,
    },
}

/// Whether a directory is on a mount that is read-only.
///
/// # Errors
/// When it cannot be looked at.
pub fn is_read_only(directory: &Path) -> Result<bool, WritableError> {
    Ok(flags(directory)?.contains(StatVfsMountFlags::RDONLY))
}

/// Gives the calling thread, and threads and processes that it starts later, a mount namespace in which the store is
/// writable. Nothing is done, and false returned, where it is so already, or for others than root. Mounts that
/// the machine makes or takes away later are followed.
///
/// # Errors
/// The step that failed.
pub fn make_writable(store: &Path) -> Result<bool, WritableError> {
    let before = flags_if_there(store)?;
    if !before.contains(StatVfsMountFlags::RDONLY) || !geteuid().is_root() {
        return Ok(false);
    }
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none))
        .map_err(|source| WritableError::Namespace { store: store.into(), source })?;
    let kept = KEPT.into_iter().filter(|(flag, _)| before.contains(*flag)).map(|(_, flag)| flag);
    let flags = kept.fold(MsFlags::MS_REMOUNT | MsFlags::MS_BIND, |all, flag| all | flag);
    mount(none, store, none, flags, none)
        .map_err(|source| WritableError::Remount { store: store.into(), source })?;
    if is_read_only(store)? { Err(WritableError::FileSystem { store: store.into() }) } else { Ok(true) }
}

/// A store that Nix has not made yet is not read-only.
fn flags_if_there(store: &Path) -> Result<StatVfsMountFlags, WritableError> {
    match flags(store) {
        Err(WritableError::Look { source: Errno::ENOENT, .. }) => Ok(StatVfsMountFlags::empty()),
        other => other,
    }
}

fn flags(store: &Path) -> Result<StatVfsMountFlags, WritableError> {
    let found = statvfs(store).map_err(|error| WritableError::Look {
        store: store.into(),
        source: Errno::from_raw(error.raw_os_error()),
    })?;
    Ok(found.f_flag)
}
