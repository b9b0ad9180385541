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

use super::order;
use super::{MountError, nfsstat};
use crate::Source;
use crate::mount_table::MountEntry;
use crate::options::{self, MountOptions};
use crate::sys::{self, FsId};

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

/// Identifies a mount of ours by its entry in the kernel's table: its path may be spelled otherwise than the one that was
/// asked for.
pub(crate) type MountId = MountEntry<FsId>;

/// The client of a mount. There is no way to end it and keep the mount.
#[derive(Clone, Debug, Default)]
pub(crate) struct Client;

impl Client {
    /// Does nothing: the client ends with the mount.
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
) -> Result<(MountId, Option<File>, Client), MountError> {
    let device = options::device(source);
    let failed = |source: io::Error| MountError::Mount { device: device.clone(), at: at.into(), source };
    let output = Command::new(MOUNT_NFS)
        .args(options::macos(source, options))
        .arg(at)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MountError::NoClient { source: error },
            _ => failed(error),
        })?;
    let checked = match output.status.success() {
        true => find(&device).and_then(|place| check(&place, source).map(|()| place)),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_string())),
    };
    let place = checked.map_err(|error| {
        force_unmount_served(&device);
        failed(error)
    })?;
    Ok((place, None, Client))
}

/// What a server offers has a name that no other server's has.
fn find(device: &str) -> io::Result<MountId> {
    let table = sys::mounts();
    let place = order::served(&table, device).next().cloned();
    place.ok_or_else(|| io::Error::other("the kernel's table does not have the mount"))
}

/// `/etc/nfs.conf` adds options to every mount, and a mount with another version, or one that gives up on a slow server,
/// is not the one that was asked for.
fn check(place: &MountId, source: &Source) -> io::Result<()> {
    // Asked of all mounts: given a path, it would look at the mount itself.
    let output = Command::new(NFSSTAT).arg("-m").stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let has = nfsstat::parameters(&said, &place.at.to_string_lossy(), &place.device);
    let has = has.ok_or_else(|| io::Error::other("nfsstat does not know of the mount"))?;
    match order::fault(place.flags).or_else(|| nfsstat::fault(&has, source.addr.port())) {
        None => Ok(()),
        Some(fault) => Err(io::Error::other(format!("{fault}: see /etc/nfs.conf"))),
    }
}

/// Where it is.
pub(crate) fn path_of(place: &MountId) -> &Path {
    &place.at
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
    in_order(&order::to_unmount(&sys::mounts(), &resolve(at)), at)
}

/// The same for a mount of ours, whatever lies at its path by now.
pub(crate) fn unmount_place(place: &MountId) -> Result<(), MountError> {
    in_order(&order::to_unmount_one(&sys::mounts(), &place.id), &place.at)
}

fn in_order(mounts: &[MountId], at: &Path) -> Result<(), MountError> {
    if mounts.is_empty() {
        return Err(MountError::NotMounted { at: at.into() });
    }
    mounts.iter().try_for_each(|mount| {
        unmount_one(mount).map_err(|source| match source.raw_os_error() {
            Some(libc::EBUSY) => MountError::InUse { at: at.into() },
            _ => MountError::Unmount { at: at.into(), source },
        })
    })
}

fn unmount_one(mount: &MountId) -> io::Result<()> {
    for _ in 1..TRIES {
        match sys::unmount(mount.id, false) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => thread::sleep(TRY_INTERVAL),
            result => return result,
        }
    }
    sys::unmount(mount.id, false)
}

/// Nothing there tells of mounts but the table itself, so it is looked at every now and then.
pub(crate) fn wait_until_gone(place: &MountId, stop: BorrowedFd<'_>) -> Result<(), MountError> {
    while sys::mounts().iter().any(|entry| entry.id == place.id) {
        let mut events = [PollFd::new(stop, PollFlags::POLLIN)];
        if matches!(poll(&mut events, PollTimeout::from(LOOK_INTERVAL)), Ok(1..)) {
            break;
        }
    }
    Ok(())
}

/// Takes every NFS mount at `at` out of the tree, whatever its server and its users do.
pub fn force_unmount(at: &Path) {
    if is_nfs(at) {
        force_unmount_at(&resolve(at));
    }
}

pub(crate) fn force_unmount_place(place: &MountId) {
    by_force(&order::to_unmount_one(&sys::mounts(), &place.id));
}

/// Takes away by force what is mounted at a path of the kernel's table, and below it.
pub(crate) fn force_unmount_at(at: &Path) {
    by_force(&order::to_unmount(&sys::mounts(), at));
}

/// Takes away every mount of what a server that is gone had offered.
pub fn force_unmount_served(device: &str) {
    for place in order::served(&sys::mounts(), device) {
        force_unmount_place(place);
    }
}

/// `MNT_FORCE` ends the calls that wait for a server and takes the mount away, in use or not.
pub(crate) fn by_force(mounts: &[MountId]) {
    for mount in mounts {
        if let Err(error) = sys::unmount(mount.id, true) {
            tracing::warn!("cannot unmount {:?}: {error}", mount.at);
        }
    }
}

/// There is no way to do so and keep the mount.
pub(crate) fn abort_calls(_at: &Path) {}

pub(crate) fn is_mount_point(at: &Path) -> bool {
    mounted_kind(at).is_some()
}

/// Whether an NFS mount is there, found in the kernel's table.
#[must_use]
pub fn is_nfs(at: &Path) -> bool {
    mounted_kind(at).is_some_and(|kind| kind == "nfs")
}

/// The type of what lies uppermost at this place.
fn mounted_kind(at: &Path) -> Option<String> {
    let at = resolve(at);
    sys::mounts().into_iter().rfind(|entry| entry.at == at).map(|entry| entry.kind)
}

/// The path as the table writes it. The last name is not looked up, for it may be a mount whose server is dead: it is
/// found in the table, in whatever case or form of Unicode it is typed.
pub(crate) fn resolve(at: &Path) -> PathBuf {
    let (Some(Ok(parent)), Some(name)) = (at.parent().map(Path::canonicalize), at.file_name()) else {
        return at.to_path_buf();
    };
    // What does not say is taken for the system's own volumes.
    let case_sensitive = sys::is_case_sensitive(&parent).unwrap_or(false);
    let table = sys::mounts();
    order::spelling(&table, &parent, name, case_sensitive)
        .map_or_else(|| parent.join(name), Path::to_path_buf)
}
