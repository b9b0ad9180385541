//! The declared part of a view: its entries and the directories that lead to them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use parking_lot::Mutex;

use super::attributes::Kind;
use super::error::OpenError;
use super::host;
use super::patience::Memory;
use super::seen::Seen;
use super::spec::{Access, Entry, Owner, ViewSpec};

/// Mode of a directory that exists only because an entry lies below it.
const PARENT_MODE: u32 = 0o755;

/// Every declared node, the root first.
pub(crate) struct Tree {
    declared: Vec<Declared>,
    /// Host directories that hold what grafts and scratches show, each once, links resolved.
    source_directories: Vec<PathBuf>,
    /// The device most sources lie on.
    pub(crate) device: Option<u64>,
}

/// One declared node.
pub(crate) struct Declared {
    pub(crate) parent: usize,
    pub(crate) name: Box<[u8]>,
    pub(crate) children: BTreeMap<Box<[u8]>, usize>,
    /// How many of its children are directories.
    pub(crate) directories: u32,
    pub(crate) shape: Shape,
}

/// What a declared node is.
pub(crate) enum Shape {
    Directory { mode: u32, owner: Owner },
    Inline { contents: Box<[u8]>, mode: u32 },
    Symlink { target: Box<[u8]> },
    Device { major: u32, minor: u32, mode: u32, owner: Owner },
    Branch(Branch),
}

impl Shape {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Shape::Directory { .. } => Kind::Directory,
            Shape::Inline { .. } => Kind::Regular,
            Shape::Symlink { .. } => Kind::Symlink,
            Shape::Device { .. } => Kind::CharacterDevice,
            Shape::Branch(branch) => branch.kind,
        }
    }
}

/// A declared node that shows something of the host.
pub(crate) struct Branch {
    /// Index of the host directory that holds it.
    pub(crate) source_directory: usize,
    /// Its name there; `.` when it is the root of the host.
    pub(crate) source_name: Box<[u8]>,
    pub(crate) kind: Kind,
    pub(crate) access: Access,
    /// What is written there does not outlive the view's users.
    pub(crate) scratch: bool,
    /// What is known of its attributes.
    pub(crate) seen: Mutex<Seen>,
    /// What is known of the file system that it lies on.
    pub(crate) memory: Memory,
}

impl Branch {
    /// Whether nobody changes what is there but through the view.
    pub(crate) fn is_exclusive(&self) -> bool {
        self.scratch || self.access == Access::Fixed
    }
}

impl Tree {
    /// Declares what a valid specification names and examines the host's side of it.
    pub(crate) fn new(spec: &ViewSpec) -> Result<Tree, OpenError> {
        spec.validate()?;
        let mut builder = Builder::default();
        let mut entries: Vec<&Entry> = spec.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at());
        for entry in entries {
            if let Some(shape) = builder.shape(entry)? {
                builder.place(entry.at(), shape);
            }
        }
        builder.count_directories();
        let device = builder.devices.iter().max_by_key(|(device, uses)| (**uses, **device));
        Ok(Tree {
            device: device.map(|(device, _)| *device),
            declared: builder.declared,
            source_directories: builder.source_directories,
        })
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Declared> {
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

struct Builder {
    declared: Vec<Declared>,
    source_directories: Vec<PathBuf>,
    /// Index of each source directory, by its path as the entries name it.
    known_directories: HashMap<PathBuf, usize>,
    devices: BTreeMap<u64, usize>,
}

impl Default for Builder {
    fn default() -> Builder {
        let root = Declared {
            parent: 0,
            name: Box::default(),
            children: BTreeMap::new(),
            directories: 0,
            shape: Shape::Directory { mode: PARENT_MODE, owner: Owner::default() },
        };
        Builder {
            declared: vec![root],
            source_directories: Vec::new(),
            known_directories: HashMap::new(),
            devices: BTreeMap::new(),
        }
    }
}

impl Builder {
    fn shape(&mut self, entry: &Entry) -> Result<Option<Shape>, OpenError> {
        Ok(Some(match entry {
            Entry::Directory { mode, owner, .. } => Shape::Directory { mode: *mode, owner: *owner },
            Entry::Inline { contents, mode, .. } => {
                Shape::Inline { contents: contents.as_bytes().into(), mode: *mode }
            }
            Entry::Symlink { target, .. } => Shape::Symlink { target: target.as_os_str().as_bytes().into() },
            Entry::Device { major, minor, mode, owner, .. } => {
                Shape::Device { major: *major, minor: *minor, mode: *mode, owner: *owner }
            }
            Entry::Graft { at, source, access, optional } => match self.branch(at, source, *access, false) {
                Err(OpenError::Missing { .. }) if *optional => return Ok(None),
                branch => Shape::Branch(branch?),
            },
            Entry::Scratch { at, source, mode, owner } => {
                let branch = self.branch(at, source, Access::Rw, true)?;
                if branch.kind != Kind::Directory {
                    return Err(OpenError::NotDirectory { at: at.clone(), source_path: source.clone() });
                }
                prepare_scratch(at, source, *mode, *owner)?;
                Shape::Branch(branch)
            }
        }))
    }

    fn branch(
        &mut self,
        at: &Path,
        source: &Path,
        access: Access,
        scratch: bool,
    ) -> Result<Branch, OpenError> {
        let stat = examine(at, source)?;
        *self.devices.entry(host::identity(&stat).0).or_default() += 1;
        let source_name = source.file_name().map_or(&b"."[..], OsStrExt::as_bytes).into();
        let holder = source.parent().unwrap_or(Path::new("/"));
        let source_directory = self.source_directory(at, source, holder)?;
        Ok(Branch {
            source_directory,
            source_name,
            kind: Kind::of(stat.st_mode),
            access,
            scratch,
            seen: Mutex::default(),
            memory: Memory::default(),
        })
    }

    /// Links on the way to a source are the declarer's business and are resolved once, here.
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

    fn place(&mut self, at: &Path, shape: Shape) {
        let mut index = 0;
        for name in at.iter().skip(1) {
            let name = name.as_bytes();
            index = match self.declared[index].children.get(name) {
                Some(child) => *child,
                None => self.add(index, name),
            };
        }
        self.declared[index].shape = shape;
    }

    fn count_directories(&mut self) {
        for index in 1..self.declared.len() {
            let Declared { parent, ref shape, .. } = self.declared[index];
            if shape.kind() == Kind::Directory {
                self.declared[parent].directories += 1;
            }
        }
    }

    fn add(&mut self, parent: usize, name: &[u8]) -> usize {
        let index = self.declared.len();
        self.declared[parent].children.insert(name.into(), index);
        let shape = Shape::Directory { mode: PARENT_MODE, owner: Owner::default() };
        let children = BTreeMap::new();
        self.declared.push(Declared { parent, name: name.into(), children, directories: 0, shape });
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

/// Gives the scratch's directory the mode and owner that it is to show.
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
