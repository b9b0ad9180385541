//! How a view becomes a directory that a build can be put into: over NFS, by bind mounts, or by hard links.

mod bind;
#[cfg(target_os = "linux")]
mod daemon_error;
mod devices;
mod hardlink;
#[cfg(feature = "nfsserve")]
pub mod inode_view;
mod nfs;
#[cfg(feature = "nfsserve")]
pub mod nfsserve;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mounter::farm::FarmError;
use mounter::jail::{LocalPlace, Root, Spawner, User};

pub use mounter::options::Changes;
use mounter::{MountOptions, NetworkError};
use nfs_server::CallCounts;
use nfs_server::view::{Entry, OpenError, View, ViewSpec};
use serde::Serialize;

use crate::access::Accesses;
use crate::cancel::Cancel;
use crate::conditions::{ConditionReport, Conditions};
use crate::local::Scratches;
use crate::recovery::{RunRecord, StateError};
use crate::server::{ServeError, ServeOptions};

pub use bind::Bind;
#[cfg(target_os = "linux")]
pub use daemon_error::{DaemonError, RemoteError};
pub use devices::devices;
pub(crate) use devices::public_devices;
pub use hardlink::{FarmEntry, FarmStep, Hardlink};
pub use nfs::Nfs;

/// The backend that programs have if they are built with the feature of its name.
const NFSSERVE: &str = "nfsserve";

/// A way to make views real.
pub trait Backend: Send + Sync {
    /// Makes a view real.
    ///
    /// # Errors
    /// When the view or what carries it cannot be made, or this backend cannot carry it. Nothing is left then.
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError>;

    /// Whether what is in the view can hold descriptors of the host's own files, which it can hand to others and which are
    /// good for as long as anybody has them.
    fn exposes_host_files(&self) -> bool {
        true
    }

    /// How a client mounts what this serves, which loopbox's daemon can do for others; none where nothing is served.
    fn mount_options(&self) -> Option<&MountOptions> {
        None
    }
}

/// What is to be made real.
#[derive(Clone)]
pub struct ProvisionRequest<'a> {
    /// The view.
    pub view: &'a ViewSpec,
    /// Who is going to be in it.
    pub user: &'a User,
    /// An empty directory that only root can enter.
    pub at: &'a Path,
    /// Where what could be left behind is noted, for a later run to sweep.
    pub record: &'a RunRecord,
    /// What starts a server.
    pub spawner: &'a Spawner,
    /// How it is served, if it is.
    pub serve: ServeOptions<'a>,
    /// The root directory of whoever asks for it, if that is somebody who is shown nothing but what he may see himself.
    pub asked_from: Option<BorrowedFd<'a>>,
}

/// A view that is real for as long as this lives.
pub trait Provisioned: Send {
    /// What the jail makes its root.
    fn root(&self) -> Root;

    /// The view, to look at what the build would find in it.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn view(&self) -> Result<&View, OpenError>;

    /// Places that the jail mounts over what the root shows there.
    fn local(&self) -> Vec<LocalPlace> {
        Vec::new()
    }

    /// A program runs in it now, of which it is to tell whoever asks.
    fn runs(&self, _program: &Path) {}

    /// Is asked for when what the view needs to be real has ended before its time.
    fn gone(&self) -> Option<&Cancel> {
        None
    }

    /// Ends it, once nobody uses it any more, and says what it took.
    ///
    /// # Errors
    /// When something of it is left, or it has ended before its time.
    fn end(self: Box<Self>) -> Result<ViewSummary, BackendError>;
}

/// What a view has used and was asked for, once it has ended.
#[derive(Debug, Default)]
pub struct ViewSummary {
    /// What it took.
    pub usage: ResourceUsage,
    /// What it was asked for and did not show, as far as that was to be remembered.
    pub accesses: Accesses,
    /// How often the conditions were met.
    pub imposed: ConditionReport,
}

impl From<ResourceUsage> for ViewSummary {
    /// Of a backend that records no accesses and imposes no conditions.
    fn from(usage: ResourceUsage) -> ViewSummary {
        ViewSummary { usage, ..ViewSummary::default() }
    }
}

/// What it took to make a view real and to serve it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUsage {
    /// Calls to the server by procedure.
    pub nfs_calls: CallCounts,
    /// Files, directories and links that were made on the host's disks.
    pub inodes_created: u64,
    /// Names that were given to files that are there already.
    pub links_made: u64,
    /// Files that could not be linked, and were copied.
    pub files_copied: u64,
    /// Bytes that were copied, those that share the disk's blocks not included.
    pub bytes_copied: u64,
    /// Mounts that were made, those of devices not included.
    pub mounts: u64,
}

/// The backends by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendKind {
    /// [`Nfs`].
    #[default]
    Nfs,
    /// [`Hardlink`].
    Hardlink,
    /// [`Bind`].
    Bind,
    /// [`nfsserve::Nfsserve`].
    #[cfg(feature = "nfsserve")]
    Nfsserve,
}

impl From<ServeError> for BackendError {
    fn from(error: ServeError) -> BackendError {
        match error {
            ServeError::View(error) => BackendError::View(error),
            other => BackendError::Serve(other),
        }
    }
}

/// A word that is the name of no backend of this program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownBackend {
    /// Of no other either.
    #[error("there is no backend {0:?}: {list}", list = names())]
    Unknown(String),
    /// It is one that was left out.
    #[error("built without the feature {0}: 'cargo build --features {0}' builds with it")]
    LeftOut(&'static str),
}

/// A backend was to impose conditions that has no server to do so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the backend '{0}' has no server that could do it")]
pub struct NoServer(pub BackendKind);

/// Why a view could not be made real.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The view could not be opened.
    #[error("cannot open the view")]
    View(#[from] OpenError),
    /// The view could not be served.
    #[error(transparent)]
    Serve(ServeError),
    /// The server has no network of its own.
    #[error("cannot serve the view in a network of its own")]
    Network(#[from] NetworkError),
    /// What could be left behind could not be noted.
    #[error("cannot record what serves the view")]
    Note(#[from] StateError),
    /// Nobody can impose the conditions.
    #[error("only the server of an NFS view can limit what is written there, or inject faults")]
    Conditions,
    /// The farm of links could not be made, or not be taken apart.
    #[error("cannot create or remove the farm of hard links")]
    Farm(#[from] FarmError),
    /// loopbox's daemon did not make it.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    /// Where a program keeps the machine's root, it is confined to what is mounted (macOS).
    #[error("on this Mac, whose root stays the machine's, a view has to be served")]
    NoOwnRoot,
    /// nfsserve could not be started.
    #[cfg(feature = "nfsserve")]
    #[error("cannot serve the view with nfsserve")]
    Nfsserve(#[source] std::io::Error),
    /// The backend has no way to show this.
    #[error("the {backend} backend cannot show {at:?}: {reason}")]
    Unable {
        /// Its name.
        backend: BackendKind,
        /// The entry's place in the view.
        at: PathBuf,
        /// Why the backend cannot show it.
        reason: &'static str,
    },
}

impl BackendKind {
    /// All of them.
    pub const ALL: &[BackendKind] = &[
        BackendKind::Nfs,
        BackendKind::Hardlink,
        BackendKind::Bind,
        #[cfg(feature = "nfsserve")]
        BackendKind::Nfsserve,
    ];

    /// Those that are fit for builds on this system, and not for a comparison alone.
    pub fn fit() -> impl Iterator<Item = BackendKind> {
        let is_here = |kind: &BackendKind| *kind != BackendKind::Bind || cfg!(target_os = "linux");
        BackendKind::ALL.iter().copied().filter(|kind| kind.to_string() != NFSSERVE).filter(is_here)
    }

    /// The backend of this name.
    #[must_use]
    pub fn backend(self) -> Box<dyn Backend> {
        self.backend_with(Changes::default(), Scratches::default())
    }

    /// The same for views whose contents others change as well, or nobody: an NFS client caches accordingly. A farm of hard
    /// links has scratches in itself or mounts them.
    #[must_use]
    pub fn backend_with(self, changes: Changes, scratches: Scratches) -> Box<dyn Backend> {
        let options = MountOptions { changes, ..MountOptions::default() };
        match self {
            BackendKind::Nfs => Box::new(Nfs { options }),
            BackendKind::Hardlink => {
                Box::new(Hardlink { mounts: cfg!(target_os = "linux") && scratches != Scratches::Farm })
            }
            BackendKind::Bind => Box::new(Bind),
            #[cfg(feature = "nfsserve")]
            BackendKind::Nfsserve => Box::new(nfsserve::Nfsserve { options }),
        }
    }

    /// Whether it can impose conditions.
    ///
    /// # Errors
    /// [`NoServer`].
    pub fn check(self, conditions: &Conditions) -> Result<(), NoServer> {
        if conditions.are_none() || self == BackendKind::Nfs { Ok(()) } else { Err(NoServer(self)) }
    }

    fn among(kinds: &[BackendKind], word: &str) -> Result<BackendKind, UnknownBackend> {
        let found = kinds.iter().copied().find(|kind| kind.to_string() == word);
        found.ok_or_else(|| match word {
            NFSSERVE => UnknownBackend::LeftOut(NFSSERVE),
            word => UnknownBackend::Unknown(word.into()),
        })
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            BackendKind::Nfs => "nfs",
            BackendKind::Hardlink => "hardlink",
            BackendKind::Bind => "bind",
            #[cfg(feature = "nfsserve")]
            BackendKind::Nfsserve => NFSSERVE,
        })
    }
}

impl FromStr for BackendKind {
    type Err = UnknownBackend;

    fn from_str(word: &str) -> Result<BackendKind, UnknownBackend> {
        BackendKind::among(BackendKind::ALL, word)
    }
}

fn names() -> String {
    BackendKind::ALL.iter().map(BackendKind::to_string).collect::<Vec<_>>().join(", ")
}

/// The entries of a view, but for optional ones whose source is missing, from the root down.
fn present(view: &ViewSpec) -> impl Iterator<Item = &Entry> {
    let missing = |entry: &&Entry| matches!(entry, Entry::Graft { source, optional: true, .. } if source.symlink_metadata().is_err());
    let mut entries: Vec<&Entry> = view.entries.iter().filter(|entry| !missing(entry)).collect();
    entries.sort_by_key(|entry| entry.at());
    entries.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_was_left_out_says_how_to_have_it() {
        let without: Vec<BackendKind> = BackendKind::fit().collect();
        let error = BackendKind::among(&without, "nfsserve").unwrap_err();
        assert_eq!(
            error.to_string(),
            "built without the feature nfsserve: 'cargo build --features nfsserve' builds with it"
        );
        assert_eq!(BackendKind::among(&without, "bind"), Ok(BackendKind::Bind));
        let error = BackendKind::among(&without, "overlay").unwrap_err().to_string();
        assert!(error.starts_with("there is no backend \"overlay\": nfs, hardlink, bind"), "{error}");
    }
}
