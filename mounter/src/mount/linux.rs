//! mount(2) and umount2(2) themselves: no program of nfs-utils is needed.

mod client;
mod statistics;
mod untold;

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::thread;

use defences::Defence;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::table::{self, MountEntry};
use super::{ABORT_INTERVAL, MountError};
use crate::options::{self, Changes, MountOptions, Recovery};
use crate::{Source, network};

pub(crate) use client::Client;

pub(crate) use self::{force_unmount as force_unmount_place, unmount as unmount_place};
pub(crate) use super::table::resolve;

/// How many mounts on top of each other at one point are taken away: enough for any real stack, and an end.
const STACK: usize = 16;

/// How often the calls of a mount that is in use are aborted before it is detached, which leaves those that follow
/// to fail by themselves. A writer makes a call or two more after the one that failed, before it is gone.
const ABORTS: usize = 20;

/// Identifies a mount of ours by its path, which has one spelling.
pub(crate) type MountId = PathBuf;

/// The mount's root, and the client behind it, which lives where the server is.
pub(crate) fn mount(
    source: &Source,
    at: &Path,
    options: &MountOptions,
) -> Result<(MountId, Option<File>, Client), MountError> {
    let make = || mount_here(source, at, options);
    let (root, client) = match &source.namespace {
        None => make()?,
        Some(path) => network::within(path, make)
            .map_err(|source| MountError::Namespace { path: path.clone(), source })??,
    };
    Ok((at.into(), root, client))
}

fn mount_here(
    source: &Source,
    at: &Path,
    options: &MountOptions,
) -> Result<(Option<File>, Client), MountError> {
    // Nobody could end a client without a switch that waits for ever. How long one waits is settled when it is mounted.
    let recovery = |has_switch| if has_switch { Recovery::Hard } else { Recovery::Softerr };
    let expected = client::switch_is_expected();
    let (root, client) = attach_and_open(source, at, options, recovery(expected))?;
    if client.has_switch() == expected {
        return Ok((Some(root), client));
    }
    drop(root);
    unmount(at)?;
    let (root, client) = attach_and_open(source, at, options, recovery(client.has_switch()))?;
    Ok((Some(root), client))
}

fn attach_and_open(
    source: &Source,
    at: &Path,
    options: &MountOptions,
    recovery: Recovery,
) -> Result<(File, Client), MountError> {
    attach(source, at, options, recovery)?;
    match File::open(at) {
        Ok(root) => {
            let client = Client::of(&root);
            Ok((root, client))
        }
        Err(source) => {
            force_unmount(at);
            Err(MountError::Point { at: at.into(), source })
        }
    }
}

fn attach(source: &Source, at: &Path, options: &MountOptions, recovery: Recovery) -> Result<(), MountError> {
    let device = options::device(source);
    let data = options::linux(source, options, recovery);
    nix::mount::mount(Some(device.as_str()), at, Some("nfs"), flags(options), Some(data.as_str())).map_err(
        |errno| {
            let source_error = io::Error::from(errno);
            match errno {
                Errno::EPERM => MountError::NotRoot { at: at.into() },
                // The type is unknown, or its module for version 3 is missing.
                Errno::ENODEV | Errno::EPROTONOSUPPORT => MountError::NoClient { source: source_error },
                Errno::EBUSY => MountError::Busy { at: at.into() },
                Errno::ECONNREFUSED | Errno::ETIMEDOUT | Errno::EHOSTUNREACH => {
                    MountError::NoServer { addr: source.addr.to_string(), source: source_error }
                }
                Errno::EACCES | Errno::ENOENT => {
                    MountError::Refused { export: source.export.clone(), source: source_error }
                }
                _ => MountError::Mount { device, at: at.into(), source: source_error },
            }
        },
    )
}

/// Where it is.
pub(crate) fn path_of(place: &MountId) -> &Path {
    place
}

/// After every read the client forgets when the file was last read, and asks for its attributes at the next stat(2),
/// unless the mount says that nobody is interested (`nfs_getattr` in `fs/nfs/inode.c`).
fn flags(options: &MountOptions) -> MsFlags {
    let mut flags = MsFlags::empty();
    flags.set(MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Defence::MountOptions.stands());
    flags.set(MsFlags::MS_NOATIME, options.changes == Changes::Exclusive);
    flags
}

pub(crate) fn open_root(at: &Path) -> Result<Option<File>, MountError> {
    File::open(at).map(Some).map_err(|source| MountError::Point { at: at.into(), source })
}

/// syncfs(2) tells of every write that failed since the root was opened, also of those that nobody waited for.
/// Unmounting would tell of none. What somebody was told of is his own affair.
pub(crate) fn write_back(root: &File, at: &Path) -> Result<(), MountError> {
    let Err(errno) = nix::unistd::syncfs(root) else { return Ok(()) };
    match untold::first(root) {
        Ok(None) => Ok(()),
        Ok(Some(source)) => Err(MountError::WriteBack { at: at.into(), source }),
        Err(error) => {
            tracing::debug!(%error, "not every file can be asked for writes that failed");
            Err(MountError::WriteBack { at: at.into(), source: errno.into() })
        }
    }
}

/// Whether every call was answered in the end. A client that waits as long as it takes has had an answer to each; of one
/// that does not, the kernel counts those that it gave up, after which a program may take what is there for missing.
pub(crate) fn check_answered(client: &Client, at: &Path) -> Result<(), MountError> {
    if client.has_switch() {
        return Ok(());
    }
    match statistics::unanswered(at) {
        Ok(0) => Ok(()),
        Ok(calls) => Err(MountError::Unanswered { at: at.into(), calls }),
        Err(source) => Err(MountError::Watch { source }),
    }
}

pub(crate) fn unmount(at: &Path) -> Result<(), MountError> {
    match nix::mount::umount2(at, MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(Errno::EBUSY) => Err(MountError::InUse { at: at.into() }),
        Err(Errno::EINVAL | Errno::ENOENT) => Err(MountError::NotMounted { at: at.into() }),
        Err(errno) => Err(MountError::Unmount { at: at.into(), source: errno.into() }),
    }
}

/// The kernel's table of mounts can be polled for changes (proc_pid_mounts(5)).
pub(crate) fn wait_until_gone(at: &Path, stop: BorrowedFd<'_>) -> Result<(), MountError> {
    let failed = |source: io::Error| MountError::Watch { source };
    let table = File::open("/proc/self/mounts").map_err(failed)?;
    while is_nfs(at) {
        let mut events =
            [PollFd::new(table.as_fd(), PollFlags::POLLPRI), PollFd::new(stop, PollFlags::POLLIN)];
        match poll(&mut events, PollTimeout::NONE) {
            Err(errno) if errno != Errno::EINTR => return Err(failed(errno.into())),
            _ if events[1].any().unwrap_or(false) => return Ok(()),
            _ => {}
        }
    }
    Ok(())
}

/// Takes every NFS mount at `at` out of the tree, whatever its server and its users do. `MNT_FORCE` fails the calls
/// that wait for the server; a mount that is in use even so is detached and goes with its last user.
pub fn force_unmount(at: &Path) {
    for _ in 0..STACK {
        if !is_nfs(at) {
            return;
        }
        if !aborted_and_unmounted(at)
            && let Err(errno) = nix::mount::umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW)
        {
            tracing::warn!("cannot unmount {at:?}: {errno}");
            return;
        }
    }
}

fn aborted_and_unmounted(at: &Path) -> bool {
    for _ in 0..ABORTS {
        match nix::mount::umount2(at, MntFlags::MNT_FORCE | MntFlags::UMOUNT_NOFOLLOW) {
            Ok(()) => return true,
            Err(Errno::EBUSY) => thread::sleep(ABORT_INTERVAL),
            Err(_) => return false,
        }
    }
    false
}

/// `MNT_FORCE` on a mount that is in use fails its calls and leaves it mounted: just what is wanted here. One that
/// nobody uses any more is unmounted, which is what its owner is about to do.
pub(crate) fn abort_calls(at: &Path) {
    let _ = nix::mount::umount2(at, MntFlags::MNT_FORCE | MntFlags::UMOUNT_NOFOLLOW);
}

pub(crate) fn is_mount_point(at: &Path) -> bool {
    topmost(at).is_some()
}

/// Whether an NFS mount is there, found in the kernel's table.
#[must_use]
pub fn is_nfs(at: &Path) -> bool {
    topmost(at).is_some_and(|entry| entry.kind == "nfs")
}

/// The mount on top at this point, found in the kernel's table: nothing is looked up in the mount itself.
fn topmost(at: &Path) -> Option<MountEntry> {
    let at = resolve(at);
    table::read().ok()?.into_iter().rfind(|entry| entry.at == at)
}
