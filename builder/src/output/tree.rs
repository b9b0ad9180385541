//! Looking at a tree name by name from its directory's descriptor, following no link.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

/// How a directory is opened.
pub(super) const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// How a file is opened that a look has shown to be a plain one. Should it have become a FIFO, this does not wait.
const FILE: OFlag = OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);

/// How deep a tree may be: what Nix itself can archive since 2.34.7 (and 2.28.7). Deeper ones could be registered,
/// but neither verified nor copied.
pub(super) const MAX_DEPTH: usize = 64;

/// Whether nothing may be so many directories below the top.
pub(super) fn is_too_deep(depth: usize) -> bool {
    depth >= MAX_DEPTH && Defence::OutputDepth.stands()
}

/// The kinds of things that a store holds, and all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, a FIFO or a socket.
    Other,
}

/// What cannot be done with something in a tree.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A system call failed.
    #[error("cannot {verb} {path:?}")]
    System {
        /// What was to be done.
        verb: &'static str,
        /// The path from the directory that outputs are in.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It is neither a plain file nor a directory nor a symbolic link.
    #[error("file {path:?} has an unsupported type: it is a device, a FIFO or a socket")]
    Kind {
        /// The path.
        path: PathBuf,
    },
    /// It belongs to somebody else, so it was not made by this build.
    #[error("invalid ownership on file {path:?}: it belongs to uid {uid}, not to the build user")]
    Owner {
        /// The path.
        path: PathBuf,
        /// Who it belongs to.
        uid: u32,
    },
    /// It changed while it was read, although nobody should be there to change it.
    #[error("{path:?} changed while it was read")]
    Changed {
        /// The path.
        path: PathBuf,
    },
    /// Directories go too deep.
    #[error("path {path:?} exceeds maximum NAR directory depth of {MAX_DEPTH}")]
    Depth {
        /// The path.
        path: PathBuf,
    },
}

impl TreeError {
    pub(super) fn new(path: &Path, verb: &'static str, error: impl Into<io::Error>) -> TreeError {
        TreeError::System { verb, path: path.into(), source: error.into() }
    }
}

impl Kind {
    /// The kind that a file's status says.
    #[must_use]
    pub fn of(stat: &FileStat) -> Kind {
        match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            SFlag::S_IFLNK => Kind::Symlink,
            _ => Kind::Other,
        }
    }
}

/// The status of a name itself.
pub(super) fn stat(directory: impl AsFd, name: &OsStr) -> Result<FileStat, Errno> {
    fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// Opens a directory or a plain file that a look has shown to be one, and makes sure that it is the same still.
pub(super) fn open(
    directory: impl AsFd,
    name: &OsStr,
    seen: &FileStat,
    path: &Path,
) -> Result<OwnedFd, TreeError> {
    let flags = if Kind::of(seen) == Kind::Directory { DIRECTORY } else { FILE };
    let opened =
        openat(directory, name, flags, Mode::empty()).map_err(|error| TreeError::new(path, "open", error))?;
    let now = nix::sys::stat::fstat(&opened).map_err(|error| TreeError::new(path, "look at", error))?;
    let same = (now.st_dev, now.st_ino, now.st_mode & SFlag::S_IFMT.bits())
        == (seen.st_dev, seen.st_ino, seen.st_mode & SFlag::S_IFMT.bits());
    if same { Ok(opened) } else { Err(TreeError::Changed { path: path.into() }) }
}

/// The names in a directory, in the order of their bytes, as archives have them.
pub(super) fn names(directory: &OwnedFd, path: &Path) -> Result<Vec<OsString>, TreeError> {
    let failed = |error: io::Error| TreeError::new(path, "list", error);
    // Listing moves the descriptor's position, so it gets a descriptor of its own.
    let own = openat(directory, ".", DIRECTORY, Mode::empty()).map_err(|error| failed(error.into()))?;
    let mut listing = Dir::from_fd(own).map_err(|error| failed(error.into()))?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry.map_err(|error| failed(error.into()))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}
