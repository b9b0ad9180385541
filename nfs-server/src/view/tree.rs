//! The declared part of a view: its entries and the directories that lead to them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use parking_lot::Mutex;

use super::abilities::Abilities;
use super::attributes::Kind;
use super::case::Folded;
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
    /// Of each device that sources lie on, the index of one that is a directory and, if there is such a one, writable.
    pub(crate) devices: Vec<usize>,
    /// Whether the file system of the first scratch tells names apart that differ in case only.
    pub(crate) tells_case: bool,
}

/// One declared node.
pub(crate) struct Declared {
    pub(crate) parent: usize,
    pub(crate) name: Box<[u8]>,
    children: BTreeMap<Box<[u8]>, usize>,
    /// The children by folded names, where the file system behind does not tell case.
    folded: Option<Folded>,
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
    /// The device it lay on when the view was opened.
    pub(crate) device: u64,
    pub(crate) access: Access,
    /// What is written there does not outlive the view's users.
    pub(crate) scratch: bool,
    /// Whether names there that differ in case only are two names.
    pub(crate) tells_case: bool,
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
    pub(crate) fn new(spec: &ViewSpec, abilities: Abilities) -> Result<Tree, OpenError> {
        spec.validate()?;
        let mut builder = Builder::new(abilities);
        let mut entries: Vec<&Entry> = spec.entries.iter().collect();
        entries.sort_by_key(|entry| entry.at());
        for entry in entries {
            if let Some(shape) = builder.shape(entry)? {
                builder.place(entry.at(), shape);
            }
        }
        builder.count_directories();
        let device = builder.devices.iter().max_by_key(|(device, uses)| (uses.entries, **device));
        let mut tree = Tree {
            device: device.map(|(device, _)| *device),
            devices: builder.representatives(),
            tells_case: builder.tells_case(),
            declared: builder.declared,
            source_directories: builder.source_directories,
        };
        tree.fold()?;
        Ok(tree)
    }

    /// Finds the entries' names by any case, wherever the file system behind does.
    fn fold(&mut self) -> Result<(), OpenError> {
        for index in 0..self.declared.len() {
            let declared = &self.declared[index];
            let tells_case = match &declared.shape {
                Shape::Branch(branch) => branch.tells_case,
                _ => self.tells_case,
            };
            if tells_case {
                continue;
            }
            let names = declared.children.iter().map(|(name, child)| (&**name, *child));
            let folded = Folded::of(names).map_err(|clash| {
                let path = |name| self.path(index).join(OsStr::from_bytes(name));
                OpenError::Case { first: path(clash.first), second: path(clash.second) }
            })?;
            self.declared[index].folded = Some(folded);
        }
        Ok(())
    }

    /// The nodes that show something of the host, each with its index.
    pub(crate) fn branches(&self) -> impl Iterator<Item = (usize, &Branch)> {
        self.declared.iter().enumerate().filter_map(|(index, declared)| match &declared.shape {
            Shape::Branch(branch) => Some((index, branch)),
            _ => None,
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

impl Declared {
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
    abilities: Abilities,
    declared: Vec<Declared>,
    source_directories: Vec<PathBuf>,
    /// Index of each source directory, by its path as the entries name it.
    known_directories: HashMap<PathBuf, usize>,
    devices: BTreeMap<u64, Device>,
}

/// A device that sources lie on.
struct Device {
    entries: usize,
    tells_case: bool,
}

impl Builder {
    fn new(abilities: Abilities) -> Builder {
        let root = Declared {
            parent: 0,
            name: Box::default(),
            children: BTreeMap::new(),
            folded: None,
            directories: 0,
            shape: Shape::Directory { mode: PARENT_MODE, owner: Owner::default() },
        };
        Builder {
            abilities,
            declared: vec![root],
            source_directories: Vec::new(),
            known_directories: HashMap::new(),
            devices: BTreeMap::new(),
        }
    }

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
        let device = host::identity(&stat).0;
        let tells_case = self.device(device, source);
        let source_name = source.file_name().map_or(&b"."[..], OsStrExt::as_bytes).into();
        let holder = source.parent().unwrap_or(Path::new("/"));
        let source_directory = self.source_directory(at, source, holder)?;
        Ok(Branch {
            source_directory,
            source_name,
            kind: Kind::of(stat.st_mode),
            device,
            access,
            scratch,
            tells_case,
            seen: Mutex::default(),
            memory: Memory::default(),
        })
    }

    /// Counts one more entry of a device; answers whether that tells case, which is asked once.
    fn device(&mut self, device: u64, source: &Path) -> bool {
        let ask = || self.abilities.tells_case.unwrap_or_else(|| host::tells_case(source));
        let device = self.devices.entry(device).or_insert_with(|| Device { entries: 0, tells_case: ask() });
        device.entries += 1;
        device.tells_case
    }

    fn representatives(&self) -> Vec<usize> {
        let mut found: BTreeMap<u64, (bool, usize)> = BTreeMap::new();
        for (index, declared) in self.declared.iter().enumerate() {
            let Shape::Branch(branch) = &declared.shape else { continue };
            if branch.kind == Kind::Directory {
                let writable = branch.access == Access::Rw;
                let kept = found.entry(branch.device).or_insert((writable, index));
                if writable && !kept.0 {
                    *kept = (true, index);
                }
            }
        }
        found.into_values().map(|(_, index)| index).collect()
    }

    /// What the first scratch's file system does; without one, nothing can clash.
    fn tells_case(&self) -> bool {
        let scratch = self.declared.iter().find_map(|declared| match &declared.shape {
            Shape::Branch(branch) if branch.scratch => Some(branch.tells_case),
            _ => None,
        });
        scratch.unwrap_or(true)
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
        let name = name.into();
        self.declared.push(Declared { parent, name, children, folded: None, directories: 0, shape });
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
