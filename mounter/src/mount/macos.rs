//! macOS: `/sbin/mount_nfs` loads the kernel's client and mounts; unmount(2) undoes it.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::MountError;
use crate::options::{self, MountOptions};
use crate::{Source, sys};

/// The system's own program; its place does not depend on any search path.
const MOUNT_NFS: &str = "/sbin/mount_nfs";

/// Milliseconds between two looks at the table of mounts: a person waits for the end of a command.
const LOOK_INTERVAL: u16 = 300;

pub(crate) fn mount(source: &Source, at: &Path, options: &MountOptions) -> Result<(), MountError> {
    let failed = |error: io::Error| MountError::Mount {
        device: options::device(source),
        at: at.into(),
        source: error,
    };
    let output = Command::new(MOUNT_NFS)
        .args(options::macos(source, options))
        .arg(at)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MountError::NoClient { source: error },
            _ => failed(error),
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
    Err(failed(io::Error::other(said)))
}

pub(crate) fn open_root(_at: &Path) -> Result<Option<File>, MountError> {
    Ok(None)
}

/// unmount(2) writes everything back itself there, and says so if it cannot.
pub(crate) fn write_back(_root: &File, _at: &Path) -> Result<(), MountError> {
    Ok(())
}

pub(crate) fn unmount(at: &Path) -> Result<(), MountError> {
    sys::unmount(at, false).map_err(|source| match source.raw_os_error() {
        Some(libc::EBUSY) => MountError::InUse { at: at.into() },
        Some(libc::EINVAL | libc::ENOENT) => MountError::NotMounted { at: at.into() },
        _ => MountError::Unmount { at: at.into(), source },
    })
}

/// Nothing there tells of mounts but the table itself, so it is looked at every now and then.
pub(crate) fn wait_until_gone(at: &Path, stop: BorrowedFd<'_>) -> Result<(), MountError> {
    while is_nfs(at) {
        let mut events = [PollFd::new(stop, PollFlags::POLLIN)];
        if matches!(poll(&mut events, PollTimeout::from(LOOK_INTERVAL)), Ok(1..)) {
            break;
        }
    }
    Ok(())
}

/// `MNT_FORCE` ends the calls that wait for the server and takes the mount away, in use or not.
pub(crate) fn force_unmount(at: &Path) {
    if is_nfs(at)
        && let Err(error) = sys::unmount(at, true)
    {
        tracing::warn!("cannot unmount {at:?}: {error}");
    }
}

/// There is no way to do so and keep the mount; `deadtimeout` ends the calls.
pub(crate) fn abort_calls(_at: &Path) {}

pub(crate) fn is_mount_point(at: &Path) -> bool {
    mounted_kind(at).is_some()
}

pub(crate) fn is_nfs(at: &Path) -> bool {
    mounted_kind(at).is_some_and(|kind| kind == "nfs")
}

/// The type of what is mounted at this point, from the kernel's table (getfsstat(2) with `MNT_NOWAIT`, which asks no
/// server).
fn mounted_kind(at: &Path) -> Option<String> {
    let parent = at.parent().and_then(|parent| parent.canonicalize().ok());
    let at = match (parent, at.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => at.to_path_buf(),
    };
    sys::mounts().into_iter().rfind(|(point, _)| *point == at).map(|(_, kind)| kind)
}
