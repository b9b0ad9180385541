//! Views made of hard links: what a system without bind mounts can do, and the way that Nix's first sandbox for Macs
//! went.
//!
//! The directories are made, the files are links. What is writable cannot be a link: where the system has bind mounts, it is
//! one. Without them, the directories where a program writes are in the farm themselves for as long as it exists, and nothing is
//! mounted. Nothing but its modes protects what is linked.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use mounter::farm::{Farm, Reader};
use mounter::jail::{Place, PlaceKind, Places, Root, User};
use nfs_server::view::{Access, Entry, OpenError, Owner, View, ViewSpec};

use super::{
    Backend, BackendError, BackendKind, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary, devices,
    present,
};

/// The farm, in the directory that only root can enter.
const FARM: &str = "farm";

/// Mode of a root that is not declared.
const ROOT_MODE: u32 = 0o755;

/// Links what a view shows into a tree of directories.
#[derive(Clone, Copy, Debug)]
pub struct Hardlink {
    /// Whether what is writable is mounted in the farm (Linux). Otherwise it is moved there.
    pub mounts: bool,
}

struct HardlinkView {
    view: View,
    farm: Farm,
    root: Root,
    mounts: u64,
}

/// Something that is made in a farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FarmStep {
    /// Where it is in the view.
    pub at: PathBuf,
    /// The host directory mounted in the farm that it is put into; none if it is put into the farm itself.
    pub within: Option<(PathBuf, PathBuf)>,
    /// What it is.
    pub what: FarmEntry,
}

/// What is made in a farm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FarmEntry {
    /// A directory.
    Directory {
        /// Its mode.
        mode: u32,
        /// Its owner.
        owner: Owner,
    },
    /// A file, which is root's.
    File {
        /// What is in it.
        contents: String,
        /// Its mode.
        mode: u32,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads.
        target: PathBuf,
    },
    /// Links to a file of the host, or to all files below a directory.
    Links {
        /// What is linked.
        source: PathBuf,
    },
    /// A mount of a host path, which can be written to.
    Mount {
        /// What is mounted.
        source: PathBuf,
    },
    /// A directory that is moved there.
    Borrowed {
        /// Where it is without the farm.
        source: PathBuf,
    },
}

impl Backend for Hardlink {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        // It finds the sources, and gives writable directories their modes and owners.
        let view = View::open(request.view, None)?;
        let steps = self.plan(request.view, request.user)?;
        let top = request.at.join(FARM);
        let mut groups = request.user.groups.clone();
        groups.push(request.user.gid);
        let mut builder = FarmBuilder {
            farm: Farm::begin(&request.record.farm())?,
            top: top.clone(),
            reader: Reader { uid: request.user.uid, groups: &groups },
            places: Vec::new(),
        };
        if steps.first().is_none_or(|step| step.at != Path::new("/")) {
            builder.farm.directory(request.at, &top, (ROOT_MODE, 0, 0))?;
        }
        for step in &steps {
            builder.make(step)?;
        }
        let FarmBuilder { farm, places, .. } = builder;
        // With the root, which has to be a mount to mount on.
        let mounts = if self.mounts { places.len() as u64 + 1 } else { 0 };
        let root = match self.mounts {
            true => Root::Places(Places { mount_point: top, in_memory: false, places }),
            false => Root::Directory(top),
        };
        Ok(Box::new(HardlinkView { view, farm, root, mounts }))
    }
}

impl Hardlink {
    /// What a farm of a view is made of, from the root down.
    ///
    /// # Errors
    /// [`BackendError::Unable`] with what cannot be shown by links.
    pub fn plan(&self, view: &ViewSpec, user: &User) -> Result<Vec<FarmStep>, BackendError> {
        if user.uid == 0 {
            return Err(unable(Path::new("/"), "root could write whatever it links to"));
        }
        let mut writable = BTreeMap::new();
        let mut steps = Vec::new();
        for entry in present(view) {
            let at = entry.at();
            let within = within(&writable, at)?;
            let what = self.entry(entry)?;
            if let Entry::Scratch { source, mode, owner, .. } = entry {
                let others_write = mode & 0o022 != 0 && mode & 0o1000 == 0;
                let is_owned = owner.uid == user.uid || others_write;
                writable.insert(at, Scratch { mounted: self.mounts.then_some(source), is_owned });
            }
            steps.push(FarmStep { at: at.into(), within, what });
        }
        Ok(steps)
    }

    fn entry(&self, entry: &Entry) -> Result<FarmEntry, BackendError> {
        Ok(match entry {
            Entry::Directory { mode, owner, .. } => FarmEntry::Directory { mode: *mode, owner: *owner },
            Entry::Inline { contents, mode, .. } => {
                FarmEntry::File { contents: contents.clone(), mode: *mode }
            }
            Entry::Symlink { target, .. } => FarmEntry::Symlink { target: target.clone() },
            Entry::Device { at, .. } if cfg!(target_os = "macos") => {
                return Err(unable(at, "this system has devices in /dev only"));
            }
            // The jail mounts the device on it.
            Entry::Device { .. } => FarmEntry::File { contents: String::new(), mode: 0 },
            // Nobody is asked what is looked for.
            Entry::Graft { access: Access::Phantom, .. } => {
                FarmEntry::Directory { mode: ROOT_MODE, owner: Owner::default() }
            }
            Entry::Graft { at, access: Access::Rw, .. } if !self.mounts => {
                return Err(unable(at, "without mounts nothing of the machine can be written there"));
            }
            Entry::Graft { source, access: Access::Rw, .. } => FarmEntry::Mount { source: source.clone() },
            Entry::Graft { source, .. } => FarmEntry::Links { source: source.clone() },
            Entry::Scratch { source, .. } if self.mounts => FarmEntry::Mount { source: source.clone() },
            Entry::Scratch { source, .. } => FarmEntry::Borrowed { source: source.clone() },
        })
    }
}

impl Provisioned for HardlinkView {
    fn root(&self) -> Root {
        self.root.clone()
    }

    fn view(&self) -> Result<&View, OpenError> {
        Ok(&self.view)
    }

    fn end(self: Box<Self>) -> Result<ViewSummary, BackendError> {
        let counts = self.farm.counts();
        self.farm.remove_farm()?;
        let usage = ResourceUsage {
            inodes_created: counts.inodes,
            links_made: counts.links,
            files_copied: counts.copies,
            bytes_copied: counts.copied_bytes,
            mounts: self.mounts,
            ..ResourceUsage::default()
        };
        Ok(usage.into())
    }
}

/// Makes a farm, step by step.
struct FarmBuilder<'a> {
    farm: Farm,
    top: PathBuf,
    reader: Reader<'a>,
    places: Vec<Place>,
}

impl FarmBuilder<'_> {
    fn make(&mut self, step: &FarmStep) -> Result<(), BackendError> {
        let (top, at) = self.host_place(step);
        match &step.what {
            FarmEntry::Directory { mode, owner } => {
                self.farm.directory(&top, &at, (*mode, owner.uid, owner.gid))?;
            }
            FarmEntry::File { contents, mode } => self.farm.file(&top, &at, contents.as_bytes(), *mode)?,
            FarmEntry::Symlink { target } => self.farm.symlink(&top, &at, target.as_os_str())?,
            // The jail mounts these.
            FarmEntry::Links { source } | FarmEntry::Mount { source } if devices::has_devices(source) => {
                self.point(source, (&top, &at))?;
            }
            FarmEntry::Links { source } => self.farm.link(&top, &at, source, self.reader)?,
            FarmEntry::Mount { source } => {
                self.point(source, (&top, &at))?;
                let what = PlaceKind::Writable { source: source.clone() };
                self.places.push(Place { at: step.at.clone(), what });
            }
            FarmEntry::Borrowed { source } => self.farm.borrow(&top, &at, source)?,
        }
        Ok(())
    }

    /// Makes something of the same kind to mount a host path on.
    fn point(&mut self, source: &Path, (top, at): (&Path, &Path)) -> Result<(), BackendError> {
        if source.is_dir() {
            self.farm.directory(top, at, (ROOT_MODE, 0, 0))?;
        } else {
            self.farm.file(top, at, &[], 0o444)?;
        }
        Ok(())
    }

    /// Where on the host something is made, and the directory above it that is there already.
    fn host_place(&self, step: &FarmStep) -> (PathBuf, PathBuf) {
        if let Some((source, below)) = &step.within {
            return (source.clone(), source.join(below));
        }
        let below = step.at.strip_prefix("/").unwrap_or(&step.at);
        if below.as_os_str().is_empty() {
            return (self.top.parent().unwrap_or(&self.top).into(), self.top.clone());
        }
        (self.top.clone(), self.top.join(below))
    }
}

/// A directory that can be written to.
struct Scratch<'a> {
    /// The host directory that is mounted there; none if it is in the farm itself.
    mounted: Option<&'a PathBuf>,
    /// Whether the build could remove what is put into it.
    is_owned: bool,
}

/// The mounted directory that an entry lies in, and where.
fn within(
    writable: &BTreeMap<&Path, Scratch<'_>>,
    at: &Path,
) -> Result<Option<(PathBuf, PathBuf)>, BackendError> {
    let Some((above, scratch)) = at.ancestors().skip(1).find_map(|above| Some((above, writable.get(above)?)))
    else {
        return Ok(None);
    };
    if scratch.is_owned {
        return Err(unable(at, "it lies in a directory where the build could remove it"));
    }
    let below = at.strip_prefix(above).unwrap_or(at);
    Ok(scratch.mounted.map(|source| (source.clone(), below.into())))
}

impl fmt::Display for FarmStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.display();
        match &self.what {
            FarmEntry::Directory { mode, owner } => {
                write!(f, "{at} directory {mode:04o} {}:{}", owner.uid, owner.gid)
            }
            FarmEntry::File { mode, .. } => write!(f, "{at} file {mode:04o}"),
            FarmEntry::Symlink { target } => write!(f, "{at} -> {}", target.display()),
            FarmEntry::Links { source } => write!(f, "{at} links to {}", source.display()),
            FarmEntry::Mount { source } => write!(f, "{at} mount of {}", source.display()),
            FarmEntry::Borrowed { source } => write!(f, "{at} moved from {}", source.display()),
        }
    }
}

fn unable(at: &Path, reason: &'static str) -> BackendError {
    BackendError::Unable { backend: BackendKind::Hardlink, at: at.into(), reason }
}
