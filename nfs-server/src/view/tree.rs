//! The declared nodes of a view: its entries and the directories above them.

mod builder;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use parking_lot::Mutex;

use super::ViewOptions;
use super::attr_cache::AttrCache;
use super::attributes::FileType;
use super::blocking::ResidencyProbe;
use super::case_folding::FoldedNames;
use super::error::OpenError;
use super::host;
use super::quota::FileBlocks;
use super::spec::{Access, Entry, Owner, ViewSpec};
use super::use_counters::UseCounters;
use builder::Builder;

/// Every declared node, the root first.
pub(crate) struct Tree {
    declared: Vec<DeclaredNode>,
    /// The parent directories of sources on the host, each once.
    source_directories: Vec<SourceDirectory>,
    /// The device most sources lie on.
    pub(crate) device: Option<u64>,
    /// Of each device that sources lie on, the index of one that is a directory and, if there is such a one, writable.
    pub(crate) devices: Vec<usize>,
    /// Whether the file system of the first scratch tells names apart that differ in case only.
    pub(crate) case_sensitive: bool,
}

/// One declared node.
pub(crate) struct DeclaredNode {
    pub(crate) parent: usize,
    pub(crate) name: Box<[u8]>,
    children: BTreeMap<Box<[u8]>, usize>,
    /// The children by folded names, where the file system behind is not case-sensitive.
    folded: Option<FoldedNames>,
    /// How many of its children are directories.
    pub(crate) directories: u32,
    pub(crate) kind: NodeKind,
    /// What it was used for.
    pub(crate) counters: UseCounters,
}

/// What a declared node is.
pub(crate) enum NodeKind {
    Directory { mode: u32, owner: Owner },
    Inline { contents: Box<[u8]>, mode: u32 },
    Symlink { target: Box<[u8]> },
    Device { major: u32, minor: u32, mode: u32, owner: Owner },
    HostEntry(HostEntry),
}

impl NodeKind {
    pub(crate) fn kind(&self) -> FileType {
        match self {
            NodeKind::Directory { .. } => FileType::Directory,
            NodeKind::Inline { .. } => FileType::Regular,
            NodeKind::Symlink { .. } => FileType::Symlink,
            NodeKind::Device { .. } => FileType::CharacterDevice,
            NodeKind::HostEntry(host_entry) => host_entry.kind,
        }
    }
}

/// A declared node backed by the host: a graft or a scratch.
pub(crate) struct HostEntry {
    /// Index of the host directory that holds it.
    pub(crate) source_directory: usize,
    /// Its name there; `.` when it is the root of the host.
    pub(crate) source_name: Box<[u8]>,
    /// It itself, where whoever serves may not look it up there.
    pub(crate) held: Option<Arc<OwnedFd>>,
    pub(crate) kind: FileType,
    /// The device it lay on when the view was opened.
    pub(crate) device: u64,
    /// Its inode number there.
    pub(crate) inode: u64,
    pub(crate) access: Access,
    /// Whether it is a scratch, whose contents do not outlive the view.
    pub(crate) scratch: bool,
    /// The owner that a scratch is shown with, where whoever serves may not give its directory away.
    pub(crate) shown_owner: Option<Owner>,
    /// Whether names there are case-sensitive.
    pub(crate) case_sensitive: bool,
    /// Its cached attributes.
    pub(crate) attr_cache: Mutex<AttrCache>,
    /// Whether its file system supports `RWF_NOWAIT`.
    pub(crate) residency: ResidencyProbe,
    /// What it counts as in the view's quota, if it is a file.
    pub(crate) blocks: FileBlocks,
}

/// A directory of the host that holds sources.
struct SourceDirectory {
    /// Its path, symlinks resolved.
    path: PathBuf,
    /// It itself, where whoever serves may not be allowed to open it.
    held: Option<Arc<OwnedFd>>,
    /// Whether whoever serves may look names up in it.
    searchable: bool,
}

impl HostEntry {
    /// Whether it only leads on, and shows nothing.
    pub(crate) fn is_phantom(&self) -> bool {
        self.access == Access::Phantom
    }

    /// Whether only the view changes its files.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.scratch || self.access == Access::Fixed
    }
}

impl Tree {
    /// Declares what a valid specification names and examines the host's side of it.
    pub(crate) fn new(spec: &ViewSpec, options: &ViewOptions) -> Result<Tree, OpenError> {
        spec.validate()?;
        let mut builder = Builder::new(options);
        let mut entries: Vec<&Entry> = spec.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at().as_os_str().as_bytes());
        for entry in entries {
            if let Some(kind) = builder.kind(entry)? {
                builder.place(entry.at(), kind);
            }
        }
        let mut tree = builder.finish();
        tree.fold()?;
        Ok(tree)
    }

    /// Makes lookups of entries case-insensitive where the file system behind them is.
    fn fold(&mut self) -> Result<(), OpenError> {
        for index in 0..self.declared.len() {
            let declared = &self.declared[index];
            let case_sensitive = match &declared.kind {
                NodeKind::HostEntry(host_entry) => host_entry.case_sensitive,
                _ => self.case_sensitive,
            };
            if case_sensitive {
                continue;
            }
            let names = declared.children.iter().map(|(name, child)| (&**name, *child));
            let folded = FoldedNames::of(names).map_err(|clash| {
                let path = |name| self.path(index).join(OsStr::from_bytes(name));
                OpenError::Case { first: path(clash.first), second: path(clash.second) }
            })?;
            self.declared[index].folded = Some(folded);
        }
        Ok(())
    }

    /// The nodes that show something of the host, each with its index.
    pub(crate) fn host_entries(&self) -> impl Iterator<Item = (usize, &HostEntry)> {
        self.declared.iter().enumerate().filter_map(|(index, declared)| match &declared.kind {
            NodeKind::HostEntry(host_entry) => Some((index, host_entry)),
            _ => None,
        })
    }

    pub(crate) fn get(&self, index: usize) -> Option<&DeclaredNode> {
        self.declared.get(index)
    }

    /// The declared node at a path of the view.
    pub(crate) fn at(&self, path: &Path) -> Option<&DeclaredNode> {
        let mut index = 0;
        for name in path.iter().skip(1) {
            index = *self.declared.get(index)?.children.get(name.as_bytes())?;
        }
        self.declared.get(index)
    }

    /// The path of a declared node in the view.
    pub(crate) fn path(&self, index: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut at = index;
        while at != 0 {
            names.push(OsStr::from_bytes(&self.declared[at].name));
            at = self.declared[at].parent;
        }
        Path::new("/").join(names.into_iter().rev().collect::<PathBuf>())
    }

    /// A directory that holds sources, if it is held open.
    pub(crate) fn held_source_directory(&self, index: usize) -> Option<Arc<OwnedFd>> {
        self.source_directories[index].held.clone()
    }

    /// Opens a directory that holds sources.
    pub(crate) fn open_source_directory(&self, index: usize) -> Result<OwnedFd, Errno> {
        open_path(&self.source_directories[index].path)
    }
}

/// Opens a directory from the root of the host, one name at a time.
fn open_path(path: &Path) -> Result<OwnedFd, Errno> {
    let mut directory = host::open_root()?;
    for name in path.iter().skip(1) {
        directory = host::open_directory(directory, name.as_bytes())?;
    }
    Ok(directory)
}

impl DeclaredNode {
    /// Its children by name.
    pub(crate) fn children(&self) -> &BTreeMap<Box<[u8]>, usize> {
        &self.children
    }

    /// The child that a name leads to.
    pub(crate) fn child(&self, name: &[u8]) -> Option<usize> {
        match &self.folded {
            Some(folded) => folded.get(name),
            None => self.children.get(name).copied(),
        }
    }
}
