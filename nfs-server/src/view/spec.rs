//! What a view is made of, as plain data: declared by a caller, checked before any system call, realised by any
//! backend.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::path_text;

/// The longest name in a directory, in bytes (`NAME_MAX` of Linux and macOS).
pub const NAME_MAX: usize = 255;

/// The longest path or symbolic link target, in bytes (`PATH_MAX` of Linux less its final NUL).
pub const PATH_MAX: usize = 4095;

/// The tree that a program sees. Paths that no entry names do not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ViewSpec {
    /// The entries, in any order.
    pub entries: Vec<Entry>,
}

/// One thing declared in a view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Entry {
    /// A host directory, file or symbolic link shown at another place. A symbolic link is shown as one.
    Graft {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// The host path it shows; absolute.
        #[serde(with = "path_text")]
        source: PathBuf,
        /// Whether the view's users may change it.
        #[serde(default)]
        access: Access,
        /// Leave the entry out, rather than fail, when the source does not exist.
        #[serde(default)]
        optional: bool,
    },
    /// A regular file with fixed contents, read-only, owned by root.
    Inline {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// The file's text.
        contents: String,
        /// Permission bits, without set-id bits.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// Its text, kept as it is.
        #[serde(with = "path_text")]
        target: PathBuf,
    },
    /// A character device.
    Device {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// Major device number.
        major: u32,
        /// Minor device number.
        minor: u32,
        /// Permission bits.
        mode: u32,
        /// Owner.
        #[serde(default)]
        owner: Owner,
    },
    /// An empty, read-only directory: a place to mount on, or to hold other entries with a mode of one's own.
    Directory {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// Permission bits, the sticky bit included.
        mode: u32,
        /// Owner.
        #[serde(default)]
        owner: Owner,
    },
    /// A writable host directory. Other entries may lie below it; their names are read-only.
    Scratch {
        /// Where it appears in the view.
        #[serde(with = "path_text")]
        at: PathBuf,
        /// The host directory that holds what is written; absolute.
        #[serde(with = "path_text")]
        source: PathBuf,
        /// Permission bits of the directory itself, the sticky bit included, set when the view is opened.
        mode: u32,
        /// Owner of the directory itself, set when the view is opened.
        owner: Owner,
    },
}

/// Whether a graft may be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Nobody may change it, root included.
    #[default]
    Ro,
    /// The same, and the host does not change it either, as a store path: attributes and names are cached for good.
    Fixed,
    /// The view's users may change it as far as the host's modes let them.
    Rw,
    /// Its directories can be walked, and nothing else is there: no file, and nothing to list. What is asked for below is seen
    /// to its last name, and counts as hidden; other entries may lie below.
    Phantom,
}

/// A user and group by number, as the host knows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Why a specification cannot become a view.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecError {
    /// A path that should start at the root does not.
    #[error("{role} path {path:?} is not absolute")]
    Relative {
        /// Which of the entry's paths: `view` or `source`.
        role: &'static str,
        /// The path as given.
        path: PathBuf,
    },
    /// A path holds `.`, `..`, or a NUL byte.
    #[error("{role} path {path:?} is not normalized: it must not contain '.', '..', '//' or NUL")]
    NotPlain {
        /// Which of the entry's paths: `view` or `source`.
        role: &'static str,
        /// The path as given.
        path: PathBuf,
    },
    /// A name or a path is longer than the system allows.
    #[error("path {path:?} is too long: at most {NAME_MAX} bytes in a name and {PATH_MAX} in a path")]
    TooLong {
        /// The path as given.
        path: PathBuf,
    },
    /// An entry other than a directory was put at the root.
    #[error("the root of a view has to be a directory, a scratch or a graft")]
    Root,
    /// Two entries name the same place.
    #[error("two entries are both at {at:?}")]
    Twice {
        /// The place.
        at: PathBuf,
    },
    /// An entry lies below one that cannot hold others.
    #[error(
        "{at:?} lies below {above:?}, which is {} {kind}; only a directory or a scratch can hold other entries",
        article(kind)
    )]
    Overlap {
        /// The lower entry.
        at: PathBuf,
        /// The upper one.
        above: PathBuf,
        /// What the upper one is.
        kind: &'static str,
    },
    /// A mode has bits that a view never shows.
    #[error("mode {mode:o} of {at:?} has bits besides {allowed:o}")]
    Mode {
        /// The entry.
        at: PathBuf,
        /// Its mode.
        mode: u32,
        /// The bits that may be set there.
        allowed: u32,
    },
    /// A symbolic link without a text, or with one that no system can hold.
    #[error(
        "the symbolic link at {at:?} has an empty target, one over {PATH_MAX} bytes, or one with a NUL byte"
    )]
    Target {
        /// The link.
        at: PathBuf,
    },
    /// Two writable entries show the same host directory, or one that lies in the other.
    #[error("the writable entries at {first:?} and {second:?} share the host directory {source_path:?}")]
    SharedScratch {
        /// One of the entries.
        first: PathBuf,
        /// Path in the view of the other.
        second: PathBuf,
        /// The host directory of the lower one.
        source_path: PathBuf,
    },
}

impl ViewSpec {
    /// Checks everything that can be checked without asking the host.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order of the entries' paths.
    pub fn validate(&self) -> Result<(), SpecError> {
        // Paths are compared by their bytes, being plain: `Path` compares them part by part, which takes many times as long.
        let mut locations: BTreeMap<&[u8], &Entry> = BTreeMap::new();
        for entry in &self.entries {
            entry.validate()?;
            if locations.insert(bytes(entry.at()), entry).is_some() {
                return Err(SpecError::Twice { at: entry.at().into() });
            }
        }
        for (at, entry) in &locations {
            let above = above(at).find_map(|path| locations.get(path));
            if let Some(above) = above.filter(|above| !above.holds_entries()) {
                return Err(SpecError::Overlap {
                    at: entry.at().into(),
                    above: above.at().into(),
                    kind: above.kind(),
                });
            }
        }
        self.no_shared_scratch()
    }

    /// A directory that is writable at two places would be two directories to the client, each with a cache that
    /// the other makes stale.
    fn no_shared_scratch(&self) -> Result<(), SpecError> {
        let shared = |first: &Path, (second, source): (&Path, &Path)| {
            let (first, second, source_path) = (first.into(), second.into(), source.into());
            Err(SpecError::SharedScratch { first, second, source_path })
        };
        let mut sources: BTreeMap<&[u8], (&Path, &Path)> = BTreeMap::new();
        for writable in self.entries.iter().filter_map(Entry::writable_source) {
            if let Some((first, _)) = sources.insert(bytes(writable.1), writable) {
                return shared(first, writable);
            }
        }
        for (source, writable) in &sources {
            if let Some((first, _)) = above(source).find_map(|path| sources.get(path)) {
                return shared(first, *writable);
            }
        }
        Ok(())
    }
}

impl Entry {
    /// Where the entry appears in the view.
    #[must_use]
    pub fn at(&self) -> &Path {
        match self {
            Entry::Graft { at, .. }
            | Entry::Inline { at, .. }
            | Entry::Symlink { at, .. }
            | Entry::Device { at, .. }
            | Entry::Directory { at, .. }
            | Entry::Scratch { at, .. } => at,
        }
    }

    /// The word for this kind of entry.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::Graft { .. } => "graft",
            Entry::Inline { .. } => "inline file",
            Entry::Symlink { .. } => "symlink",
            Entry::Device { .. } => "device",
            Entry::Directory { .. } => "directory",
            Entry::Scratch { .. } => "scratch",
        }
    }

    fn holds_entries(&self) -> bool {
        matches!(
            self,
            Entry::Directory { .. } | Entry::Scratch { .. } | Entry::Graft { access: Access::Phantom, .. }
        )
    }

    fn writable_source(&self) -> Option<(&Path, &Path)> {
        match self {
            Entry::Scratch { at, source, .. } | Entry::Graft { at, source, access: Access::Rw, .. } => {
                Some((at, source))
            }
            _ => None,
        }
    }

    fn validate(&self) -> Result<(), SpecError> {
        plain_path("view", self.at())?;
        if self.at() == Path::new("/") && !matches!(self, Entry::Graft { .. }) && !self.holds_entries() {
            return Err(SpecError::Root);
        }
        match self {
            Entry::Graft { source, .. } => plain_path("source", source),
            Entry::Scratch { at, source, mode, .. } => {
                plain_path("source", source)?;
                plain_mode(at, *mode, 0o1777)
            }
            Entry::Directory { at, mode, .. } => plain_mode(at, *mode, 0o1777),
            Entry::Inline { at, mode, .. } | Entry::Device { at, mode, .. } => plain_mode(at, *mode, 0o777),
            Entry::Symlink { at, target } => {
                let text = target.as_os_str().as_encoded_bytes();
                let fits = !text.is_empty() && text.len() <= PATH_MAX && !text.contains(&0);
                if fits { Ok(()) } else { Err(SpecError::Target { at: at.clone() }) }
            }
        }
    }
}

/// The indefinite article before a word.
fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn plain_path(role: &'static str, path: &Path) -> Result<(), SpecError> {
    let bytes = bytes(path);
    let Some(names) = bytes.strip_prefix(b"/") else {
        return Err(SpecError::Relative { role, path: path.into() });
    };
    let names = || names.split(|byte| *byte == b'/');
    let is_plain = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
    if bytes != b"/" && !names().all(is_plain) {
        return Err(SpecError::NotPlain { role, path: path.into() });
    }
    if bytes.len() > PATH_MAX || names().any(|name| name.len() > NAME_MAX) {
        return Err(SpecError::TooLong { path: path.into() });
    }
    Ok(())
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

/// The directories above a plain path, the nearest first.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = (0..path.len()).rev().filter(|at| path[*at] == b'/' && path.len() > 1);
    slashes.map(|at| &path[..at.max(1)])
}

fn plain_mode(at: &Path, mode: u32, allowed: u32) -> Result<(), SpecError> {
    if mode & !allowed == 0 { Ok(()) } else { Err(SpecError::Mode { at: at.into(), mode, allowed }) }
}
