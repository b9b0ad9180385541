//! The declared nodes of a view: its entries and the directories above them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use parking_lot::Mutex;

use super::attr_cache::AttrCache;
use super::attributes::FileType;
use super::blocking::ResidencyProbe;
use super::case_folding::FoldedNames;
use super::error::OpenError;
use super::host;
use super::host_capabilities::HostCapabilities;
use super::spec::{Access, Entry, Owner, ViewSpec};

/// Mode of a directory that exists only because an entry lies below it.
const PARENT_MODE: u32 = 0o755;

/// Every declared node, the root first.
pub(crate) struct Tree {
    declared: Vec<DeclaredNode>,
    /// The parent directories of sources on the host, each once, symlinks resolved.
    source_directories: Vec<PathBuf>,
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
    pub(crate) kind: FileType,
    /// The device it lay on when the view was opened.
    pub(crate) device: u64,
    pub(crate) access: Access,
    /// Whether it is a scratch, whose contents do not outlive the view.
    pub(crate) scratch: bool,
    /// Whether names there are case-sensitive.
    pub(crate) case_sensitive: bool,
    /// Its cached attributes.
    pub(crate) attr_cache: Mutex<AttrCache>,
    /// Whether its file system supports `RWF_NOWAIT`.
    pub(crate) residency: ResidencyProbe,
}

impl HostEntry {
    /// Whether only the view changes its files.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.scratch || self.access == Access::Fixed
    }
}

impl Tree {
    /// Declares what a valid specification names and examines the host's side of it.
    pub(crate) fn new(spec: &ViewSpec, capabilities: HostCapabilities) -> Result<Tree, OpenError> {
        spec.validate()?;
        let mut builder = Builder::new(capabilities);
        let mut entries: Vec<&Entry> = spec.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at());
        for entry in entries {
            if let Some(kind) = builder.kind(entry)? {
                builder.place(entry.at(), kind);
            }
        }
        builder.count_directories();
        let device = builder.devices.iter().max_by_key(|(device, uses)| (uses.entries, **device));
        let mut tree = Tree {
            device: device.map(|(device, _)| *device),
            devices: builder.representatives(),
            case_sensitive: builder.case_sensitive(),
            declared: builder.declared,
            source_directories: builder.source_directories,
        };
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

    /// Opens a directory that holds sources, from the root of the host, one name at a time.
    pub(crate) fn open_source_directory(&self, index: usize) -> Result<OwnedFd, Errno> {
        let mut directory = host::open_root()?;
        for name in self.source_directories[index].iter().skip(1) {
            directory = host::open_directory(directory, name.as_bytes())?;
        }
        Ok(directory)
    }
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

struct Builder {
    capabilities: HostCapabilities,
    declared: Vec<DeclaredNode>,
    source_directories: Vec<PathBuf>,
    /// Index of each source directory, by its path as the entries name it.
    known_directories: HashMap<PathBuf, usize>,
    devices: BTreeMap<u64, Device>,
}

/// A device that sources lie on.
struct Device {
    entries: usize,
    case_sensitive: bool,
}

impl Builder {
    fn new(capabilities: HostCapabilities) -> Builder {
        let root = DeclaredNode {
            parent: 0,
            name: Box::default(),
            children: BTreeMap::new(),
            folded: None,
            directories: 0,
            kind: NodeKind::Directory { mode: PARENT_MODE, owner: Owner::default() },
        };
        Builder {
            capabilities,
            declared: vec![root],
            source_directories: Vec::new(),
            known_directories: HashMap::new(),
            devices: BTreeMap::new(),
        }
    }

    fn kind(&mut self, entry: &Entry) -> Result<Option<NodeKind>, OpenError> {
        Ok(Some(match entry {
            Entry::Directory { mode, owner, .. } => NodeKind::Directory { mode: *mode, owner: *owner },
            Entry::Inline { contents, mode, .. } => {
                NodeKind::Inline { contents: contents.as_bytes().into(), mode: *mode }
            }
            Entry::Symlink { target, .. } => {
                NodeKind::Symlink { target: target.as_os_str().as_bytes().into() }
            }
            Entry::Device { major, minor, mode, owner, .. } => {
                NodeKind::Device { major: *major, minor: *minor, mode: *mode, owner: *owner }
            }
            Entry::Graft { at, source, access, optional } => {
                match self.host_entry(at, source, *access, false) {
                    Err(OpenError::Missing { .. }) if *optional => return Ok(None),
                    host_entry => NodeKind::HostEntry(host_entry?),
                }
            }
            Entry::Scratch { at, source, mode, owner } => {
                let host_entry = self.host_entry(at, source, Access::Rw, true)?;
                if host_entry.kind != FileType::Directory {
                    return Err(OpenError::NotDirectory { at: at.clone(), source_path: source.clone() });
                }
                prepare_scratch(at, source, *mode, *owner)?;
                NodeKind::HostEntry(host_entry)
            }
        }))
    }

    fn host_entry(
        &mut self,
        at: &Path,
        source: &Path,
        access: Access,
        scratch: bool,
    ) -> Result<HostEntry, OpenError> {
        let stat = examine(at, source)?;
        let device = host::identity(&stat).0;
        let case_sensitive = self.device(device, source);
        let source_name = source.file_name().map_or(&b"."[..], OsStrExt::as_bytes).into();
        let holder = source.parent().unwrap_or(Path::new("/"));
        let source_directory = self.source_directory(at, source, holder)?;
        Ok(HostEntry {
            source_directory,
            source_name,
            kind: FileType::of(stat.st_mode),
            device,
            access,
            scratch,
            case_sensitive,
            attr_cache: Mutex::default(),
            residency: ResidencyProbe::default(),
        })
    }

    /// Counts one more entry of a device; answers whether that tells case, which is asked once.
    fn device(&mut self, device: u64, source: &Path) -> bool {
        let stat_child = || self.capabilities.case_sensitive.unwrap_or_else(|| host::case_sensitive(source));
        let device =
            self.devices.entry(device).or_insert_with(|| Device { entries: 0, case_sensitive: stat_child() });
        device.entries += 1;
        device.case_sensitive
    }

    fn representatives(&self) -> Vec<usize> {
        let mut found: BTreeMap<u64, (bool, usize)> = BTreeMap::new();
        for (index, declared) in self.declared.iter().enumerate() {
            let NodeKind::HostEntry(host_entry) = &declared.kind else { continue };
            if host_entry.kind == FileType::Directory {
                let writable = host_entry.access == Access::Rw;
                let kept = found.entry(host_entry.device).or_insert((writable, index));
                if writable && !kept.0 {
                    *kept = (true, index);
                }
            }
        }
        found.into_values().map(|(_, index)| index).collect()
    }

    /// What the first scratch's file system does; without one, nothing can clash.
    fn case_sensitive(&self) -> bool {
        let scratch = self.declared.iter().find_map(|declared| match &declared.kind {
            NodeKind::HostEntry(host_entry) if host_entry.scratch => Some(host_entry.case_sensitive),
            _ => None,
        });
        scratch.unwrap_or(true)
    }

    /// Symlinks in the path of a source are resolved once, here.
    fn source_directory(&mut self, at: &Path, source: &Path, holder: &Path) -> Result<usize, OpenError> {
        if let Some(index) = self.known_directories.get(holder) {
            return Ok(*index);
        }
        let resolved = holder.canonicalize().map_err(|error| OpenError::Source {
            step: "open",
            at: at.into(),
            source_path: source.into(),
            source: error,
        })?;
        let index = self.source_directories.len();
        self.source_directories.push(resolved);
        self.known_directories.insert(holder.into(), index);
        Ok(index)
    }

    fn place(&mut self, at: &Path, kind: NodeKind) {
        let mut index = 0;
        for name in at.iter().skip(1) {
            let name = name.as_bytes();
            index = match self.declared[index].children.get(name) {
                Some(child) => *child,
                None => self.add(index, name),
            };
        }
        self.declared[index].kind = kind;
    }

    fn count_directories(&mut self) {
        for index in 1..self.declared.len() {
            let DeclaredNode { parent, ref kind, .. } = self.declared[index];
            if kind.kind() == FileType::Directory {
                self.declared[parent].directories += 1;
            }
        }
    }

    fn add(&mut self, parent: usize, name: &[u8]) -> usize {
        let index = self.declared.len();
        self.declared[parent].children.insert(name.into(), index);
        let kind = NodeKind::Directory { mode: PARENT_MODE, owner: Owner::default() };
        let children = BTreeMap::new();
        let name = name.into();
        self.declared.push(DeclaredNode { parent, name, children, folded: None, directories: 0, kind });
        index
    }
}

fn examine(at: &Path, source: &Path) -> Result<FileStat, OpenError> {
    nix::sys::stat::lstat(source).map_err(|errno| match errno {
        Errno::ENOENT | Errno::ENOTDIR => OpenError::Missing { at: at.into(), source_path: source.into() },
        errno => OpenError::Source {
            step: "examine",
            at: at.into(),
            source_path: source.into(),
            source: errno.into(),
        },
    })
}

/// Sets the mode and owner of a scratch's directory.
fn prepare_scratch(at: &Path, source: &Path, mode: u32, owner: Owner) -> Result<(), OpenError> {
    let failed = |step| {
        move |error: std::io::Error| OpenError::Source {
            step,
            at: at.into(),
            source_path: source.into(),
            source: error,
        }
    };
    let directory = std::fs::File::open(source).map_err(failed("open"))?;
    let current = nix::sys::stat::fstat(&directory).map_err(|errno| failed("examine")(errno.into()))?;
    if (current.st_uid, current.st_gid) != (owner.uid, owner.gid) {
        std::os::unix::fs::fchown(&directory, Some(owner.uid), Some(owner.gid))
            .map_err(failed("set the owner of"))?;
    }
    nix::sys::stat::fchmod(&directory, host::permission_bits(mode))
        .map_err(|errno| failed("set the mode of")(errno.into()))
}
