//! One NFS mount: made, undone with a report, or undone by force when dropped.

#[cfg(any(test, not(target_os = "linux")))]
mod nfsstat;
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod order;
#[cfg(target_os = "linux")]
mod orphans;
#[cfg(target_os = "linux")]
#[path = "mount/linux.rs"]
mod system;
#[cfg(not(target_os = "linux"))]
#[path = "mount/macos.rs"]
mod system;
#[cfg(target_os = "linux")]
pub(crate) mod table;

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
use crate::guard::Guard;
use crate::{MountOptions, Source, errno, text};

/// Ends what is left of a mount whose server is gone, and those who wait for it.
#[cfg(target_os = "linux")]
pub use orphans::end as end_served;
use system::Client;
#[cfg(not(target_os = "linux"))]
pub use system::force_unmount_served as end_served;
#[cfg(not(target_os = "linux"))]
pub(crate) use system::{by_force, force_unmount_at};
pub use system::{force_unmount, is_nfs};

/// Interval at which calls to a dead server are aborted, while processes still make new ones.
pub(crate) const ABORT_INTERVAL: Duration = Duration::from_millis(50);

/// An NFS mount that this process made. Dropping it unmounts it, by force if need be.
///
/// The server has to answer until the mount is gone: unmounting writes back what is still in the client's cache.
#[derive(Debug)]
pub struct Mount {
    place: system::MountId,
    mounted: bool,
    /// Open from the beginning, so that syncfs(2) reports every write that failed since.
    root: Option<File>,
    client: Client,
}

/// Aborts calls on a mount whose server is dead.
#[derive(Clone, Debug)]
pub struct Aborter {
    at: PathBuf,
    client: Client,
}

/// Why a mount could not be made or undone.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum MountError {
    /// Mounting needs root.
    #[error("mounting at {at:?} needs root")]
    NotRoot {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// The kernel has no NFS client, not even as a module that it could load.
    #[error("this kernel has no client for NFS version 3, or cannot load it")]
    NoClient {
        /// What the kernel said.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The mount point does not exist.
    #[error("the mount point {at:?} does not exist")]
    NoPoint {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// The mount point is no directory.
    #[error("the mount point {at:?} is not a directory")]
    NotDirectory {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// Something is mounted there, or uses it.
    #[error("the mount point {at:?} is busy: something is mounted there already")]
    Busy {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// The mount point cannot be looked at.
    #[error("cannot stat the mount point {at:?}")]
    Point {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// No server answers at the address.
    #[error("no NFS server answers at {addr}")]
    NoServer {
        /// The address.
        addr: String,
        /// What the kernel said.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The server refused the export.
    #[error("the server refuses to mount {export:?}")]
    Refused {
        /// The export path.
        export: String,
        /// What the kernel said.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The server's network cannot be entered.
    #[error("cannot enter the network namespace {path:?}, in which the server is")]
    Namespace {
        /// The namespace.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Any other failure of the mount.
    #[error("cannot mount {device} at {at:?}")]
    Mount {
        /// What was to be mounted.
        device: String,
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// What the system said.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Something that was written through the mount did not reach the server.
    #[error("some data written below {at:?} could not be stored")]
    WriteBack {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The server did not answer for longer than the client waits. A program may have taken the error to mean that a file
    /// does not exist.
    #[error("{calls} calls below {at:?} timed out, and failed for the programs that made them")]
    Unanswered {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// How many.
        calls: u64,
    },
    /// Some process still uses the mount.
    #[error("{at:?} is in use")]
    InUse {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// No NFS mount of loopbox is there.
    #[error("nothing of loopbox's is mounted at {at:?}")]
    NotMounted {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
    },
    /// Changes of the mount table cannot be watched.
    #[error("cannot watch the mounts of this machine")]
    Watch {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Any other failure to unmount.
    #[error("cannot unmount {at:?}")]
    Unmount {
        /// The mount point.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// What the system said.
        #[serde(with = "errno")]
        source: io::Error,
    },
}

impl Mount {
    /// Mounts `source` at the directory `at`.
    ///
    /// # Errors
    /// See [`MountError`]; nothing is mounted then.
    pub fn new(source: &Source, at: &Path, options: &MountOptions) -> Result<Mount, MountError> {
        if !nix::unistd::geteuid().is_root() {
            return Err(MountError::NotRoot { at: at.into() });
        }
        // Asked before the directory itself is: what is mounted there may be dead, and looking at it would hang.
        if is_mount_point(at) {
            return Err(MountError::Busy { at: at.into() });
        }
        match at.symlink_metadata() {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(MountError::NotDirectory { at: at.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(MountError::NoPoint { at: at.into() });
            }
            Err(source) => return Err(MountError::Point { at: at.into(), source }),
        }
        let (place, root, client) = system::mount(source, at, options)?;
        Ok(Mount { place, mounted: true, root, client })
    }

    /// Where it is, in the kernel's words: on a volume that takes several spellings of a name for the same, perhaps not
    /// the one that was asked for.
    #[must_use]
    pub fn at(&self) -> &Path {
        system::path_of(&self.place)
    }

    /// Lets others unmount it: from now on this handle does not keep the mount in use.
    pub fn share(&mut self) {
        self.root = None;
    }

    /// Waits until somebody else has unmounted it, or until `stop` can be read from.
    ///
    /// # Errors
    /// If changes of the mount table cannot be watched.
    pub fn wait_until_gone(&self, stop: BorrowedFd<'_>) -> Result<(), MountError> {
        system::wait_until_gone(&self.place, stop)
    }

    /// Drops the handle of a mount that was unmounted by another process.
    pub fn forget(mut self) {
        self.mounted = false;
        self.client.shut_down();
    }

    /// Writes back what the client still holds and unmounts. The mount is gone afterwards, also after an error; whoever
    /// still holds a file of it can no longer use it, and nothing that it would have the kernel write back is waited for.
    ///
    /// # Errors
    /// [`MountError::WriteBack`] if something written did not reach the server, [`MountError::Unanswered`] if calls
    /// failed for want of an answer, [`MountError::InUse`] if a process still uses the mount,
    /// [`MountError::Unmount`] for anything else.
    pub fn unmount(mut self) -> Result<(), MountError> {
        self.mounted = false;
        let written = match self.root.take() {
            Some(root) => system::write_back(&root, self.at()),
            None => Ok(()),
        };
        let answered = system::check_answered(&self.client, self.at());
        let result = system::unmount_place(&self.place);
        if result.is_ok() {
            self.client.end();
        } else {
            self.client.shut_down();
            system::force_unmount_place(&self.place);
        }
        written.and(answered).and(result)
    }

    /// Unmounts without asking the server, which is gone: calls that wait for it fail at once, and what was not
    /// written back is lost.
    ///
    /// The kernel writes back while it unmounts, when the mount is no longer anywhere and its calls can no longer be
    /// aborted. So that is provoked, and aborted, before.
    pub fn abandon(mut self) {
        self.mounted = false;
        self.client.shut_down();
        if let Some(root) = self.root.take() {
            let aborter = self.aborter();
            thread::scope(|scope| {
                // It fails, which is what it is for.
                let writing = scope.spawn(|| drop(system::write_back(&root, self.at())));
                while !writing.is_finished() {
                    aborter.abort_calls();
                    thread::sleep(ABORT_INTERVAL);
                }
            });
        }
        system::force_unmount_place(&self.place);
    }

    /// Another process that shuts the client down when this one ends, made by a fork: this one has one thread.
    ///
    /// # Errors
    /// If there is no process or pipe to be had.
    #[cfg(target_os = "linux")]
    pub(crate) fn fork_guard(&self) -> io::Result<Option<Guard>> {
        self.client.switch().map(Guard::fork).transpose()
    }

    /// Another process that shuts the client down when this one ends: `program`, this very binary, run again. None where
    /// the client ends by itself.
    ///
    /// # Errors
    /// If it cannot be started.
    #[cfg(target_os = "linux")]
    pub fn start_guard(&self, program: &Path) -> io::Result<Option<Guard>> {
        self.client.switch().map(|switch| Guard::start(program, switch)).transpose()
    }

    /// A handle to abort calls with while the mount itself is being unmounted.
    #[must_use]
    pub fn aborter(&self) -> Aborter {
        Aborter { at: self.at().into(), client: self.client.clone() }
    }
}

/// A mount point as the kernel's table of mounts writes it; nothing is looked up in the mount itself.
#[must_use]
pub fn mount_path(at: &Path) -> PathBuf {
    system::resolve(at)
}

/// Whether something is mounted there, found in the kernel's table: nothing is looked up in the mount itself.
#[must_use]
pub fn is_mount_point(at: &Path) -> bool {
    system::is_mount_point(at)
}

/// Unmounts what some other process has mounted for loopbox, and serves. With `force`, also if it is in use, and if
/// its server is gone.
///
/// # Errors
/// [`MountError::NotMounted`] if there is no NFS mount at `at`, [`MountError::InUse`] without `force`.
pub fn unmount(at: &Path, force: bool) -> Result<(), MountError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(MountError::NotRoot { at: at.into() });
    }
    if !is_nfs(at) {
        return Err(MountError::NotMounted { at: at.into() });
    }
    if force {
        force_unmount(at);
        return Ok(());
    }
    if let Some(root) = system::open_root(at)? {
        system::write_back(&root, at)?;
    }
    system::unmount(at)
}

impl Aborter {
    /// Makes every call that waits for the server fail, so that the processes that wait can be killed, and where the
    /// kernel can, every call to come. A mount that is in use stays.
    pub fn abort_calls(&self) {
        self.client.shut_down();
        system::abort_calls(&self.at);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        self.root = None;
        if self.mounted {
            let unmounted = system::unmount_place(&self.place);
            self.client.shut_down();
            if unmounted.is_err() {
                system::force_unmount_place(&self.place);
            }
        }
    }
}
