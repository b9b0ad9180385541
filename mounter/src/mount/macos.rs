//! macOS: `/sbin/mount_nfs` loads the kernel's client and mounts; unmounting goes by the mount's number.
//!
//! A path that leads to a dead mount hangs whoever looks at it. So mounts are found in the kernel's table, which is read
//! without asking any server, and taken away by the number that the table has for them.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::order::{Entry, places_of, to_unmount};
use super::{MountError, nfsstat};
use crate::options::{self, MountOptions};
use crate::{Source, sys};

/// The system's own program; its place does not depend on any search path.
const MOUNT_NFS: &str = "/sbin/mount_nfs";
/// Tells what options a mount really has.
const NFSSTAT: &str = "/usr/bin/nfsstat";

/// How often an ordinary unmounting is tried before the mount counts as in use: the system's own watchers of files hold
/// a mount for moments.
const TRIES: usize = 5;
const TRY_INTERVAL: Duration = Duration::from_millis(100);

/// Milliseconds between two looks at the table of mounts: a person waits for the end of a command.
const LOOK_INTERVAL: u16 = 300;

/// The client of a mount. There is no way to end it and keep the mount.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client;

impl Client {
    /// Nothing.
    pub(crate) fn shut_down(&self) {}

    /// Nothing has to be shut down here.
    #[allow(clippy::unused_self, reason = "as on Linux")]
    pub(crate) fn end(&self) {}
}

/// Nothing is told through an open root there.
pub(crate) fn mount(
    source: &Source,
    at: &Path,
    options: &MountOptions,
) -> Result<(Option<File>, Client), MountError> {
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
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_string();
        return Err(failed(io::Error::other(said)));
    }
    check(source, at).map_err(|error| {
        force_unmount(at);
        failed(error)
    })?;
    Ok((None, Client))
}

/// `/etc/nfs.conf` adds options to every mount, and a mount with another version, or one that gives up on a slow server,
/// is not the one that was asked for.
fn check(source: &Source, at: &Path) -> io::Result<()> {
    let output = Command::new(NFSSTAT).arg("-m").arg(at).stdin(Stdio::null()).output()?;
    let device = options::device(source);
    let mounts = nfsstat::mounts(&String::from_utf8_lossy(&output.stdout));
    let mount = mounts.iter().rfind(|mount| mount.device == device);
    let mount = mount.ok_or_else(|| io::Error::other("nfsstat does not know of the mount"))?;
    let port = format!("port={}", source.addr.port());
    match mount.lacks(&["vers=3", "tcp", &port, "hard", "locallocks"]) {
        None => Ok(()),
        Some(lacking) => {
            Err(io::Error::other(format!("it is not {lacking:?}, as was asked for: see /etc/nfs.conf")))
        }
    }
}

pub(crate) fn open_root(_at: &Path) -> Result<Option<File>, MountError> {
    Ok(None)
}

/// unmount(2) writes everything back itself there, and says so if it cannot.
pub(crate) fn write_back(_root: &File, _at: &Path) -> Result<(), MountError> {
    Ok(())
}

/// A client that has waited too long is gone, and its mount with it: that is told when it is unmounted.
pub(crate) fn check_answered(_client: &Client, _at: &Path) -> Result<(), MountError> {
    Ok(())
}

pub(crate) fn unmount(at: &Path) -> Result<(), MountError> {
    if !is_nfs(at) {
        return Err(MountError::NotMounted { at: at.into() });
    }
    for mount in to_unmount(&sys::mounts(), &resolve(at)) {
        unmount_one(&mount).map_err(|source| match source.raw_os_error() {
            Some(libc::EBUSY) => MountError::InUse { at: at.into() },
            _ => MountError::Unmount { at: at.into(), source },
        })?;
    }
    Ok(())
}

fn unmount_one(mount: &Entry<libc::fsid_t>) -> io::Result<()> {
    for _ in 1..TRIES {
        match sys::unmount(mount.id, false) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(TRY_INTERVAL),
            result => return result,
        }
    }
    sys::unmount(mount.id, false)
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

pub(crate) fn force_unmount(at: &Path) {
    if is_nfs(at) {
        take_away(&resolve(at));
    }
}

/// Takes away by force what is mounted at a path of the kernel's table, and below it. `MNT_FORCE` ends the calls that wait
/// for a server and takes the mount away, in use or not.
pub(crate) fn take_away(at: &Path) {
    for mount in to_unmount(&sys::mounts(), at) {
        if let Err(error) = sys::unmount(mount.id, true) {
            tracing::warn!("cannot unmount {:?}: {error}", mount.at);
        }
    }
}

/// Takes away every mount of what a server that is gone had offered.
pub(crate) fn take_away_served(device: &str) {
    for at in places_of(&sys::mounts(), device) {
        take_away(&at);
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

/// The type of what lies uppermost at this place.
fn mounted_kind(at: &Path) -> Option<String> {
    let at = resolve(at);
    sys::mounts().into_iter().rfind(|entry| entry.at == at).map(|entry| entry.kind)
}

/// The path as the table writes it. The last name is not resolved, for it may be a mount whose server is dead.
fn resolve(at: &Path) -> PathBuf {
    match (at.parent().map(Path::canonicalize), at.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => at.to_path_buf(),
    }
}
