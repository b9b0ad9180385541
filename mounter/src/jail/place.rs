//! The places of a root that is put together of mounts, as plain data.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::text;

/// A root that is put together in the jail's own mount namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// An existing host directory that only root can enter; nobody outside the jail sees what is mounted there.
    #[serde(with = "text::path")]
    pub mount_point: PathBuf,
    /// Whether an empty file system in memory is mounted there first. Otherwise the directory holds the root's own
    /// files already.
    pub in_memory: bool,
    /// What is in the tree, in any order. Directories that lead to a place are made.
    pub places: Vec<Place>,
}

/// One place in the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its path inside.
    #[serde(with = "text::path")]
    pub at: PathBuf,
    /// The node, or the host path that is mounted.
    pub what: PlaceKind,
}

/// What is at a place: a node of the tree's own, or a host path mounted there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum PlaceKind {
    /// A directory of the tree's own.
    Directory {
        /// Permission bits, the sticky bit included.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// A file of the tree's own, root's.
    File {
        /// Its text.
        contents: String,
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        #[serde(with = "text::path")]
        target: PathBuf,
    },
    /// A host file or directory, read-only for everybody; a host link is made again.
    Shown {
        /// The host path.
        #[serde(with = "text::path")]
        source: PathBuf,
    },
    /// A host file or directory that may be written.
    Writable {
        /// The host path.
        #[serde(with = "text::path")]
        source: PathBuf,
    },
}

impl Places {
    /// The host path of the tree's root.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        if self.in_memory { self.mount_point.join("root") } else { self.mount_point.clone() }
    }

    /// The first place whose path is not absolute and normalized.
    pub(super) fn first_wrong(&self) -> Option<&Path> {
        self.places.iter().map(|place| place.at.as_path()).find(|at| !is_normalized(at))
    }
}

/// Whether a path is absolute and normalized: without `.` and `..`.
pub(super) fn is_normalized(path: &Path) -> bool {
    path.is_absolute()
        && path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}
