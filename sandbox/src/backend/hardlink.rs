//! Views made of hard links: what a system without bind mounts can do, and the way that Nix's first sandbox for Macs
//! went.
//!
//! The directories are made, the files are links. What is writable cannot be a link: where the system has bind mounts,
//! it is one. Nothing but its modes protects what is linked.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use mounter::farm::{Farm, Reader};
use mounter::jail::{Place, PlaceKind, Places, Root};
use nfs_server::view::{Access, Entry, OpenError, View};

use super::{
    Backend, BackendError, BackendKind, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary, devices,
    present,
};
use mounter::jail::User;

/// The farm, in the directory that only root can enter.
const FARM: &str = "farm";

/// Mode of a root that is not declared.
const ROOT_MODE: u32 = 0o755;

/// Links what a view shows into a tree of directories.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hardlink;

struct HardlinkView {
    view: View,
    farm: Farm,
    places: Places,
}

/// Builds a farm, entry by entry.
struct FarmBuilder<'a> {
    farm: Farm,
    top: PathBuf,
    user: &'a User,
    groups: Vec<u32>,
    /// Where writable directories are in the view, and the host directories that they show.
    writable: BTreeMap<PathBuf, Scratch>,
    places: Vec<Place>,
}

struct Scratch {
    source: PathBuf,
    /// Whether the build could remove what is put into it.
    is_owned: bool,
}

impl Backend for Hardlink {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        if request.user.uid == 0 {
            return Err(unable(Path::new("/"), "root could write whatever it links to"));
        }
        // It finds the sources, and gives writable directories their modes and owners.
        let view = View::open(request.view, None)?;
        let top = request.at.join(FARM);
        let mut groups = request.user.groups.clone();
        groups.push(request.user.gid);
        let mut builder = FarmBuilder {
            farm: Farm::begin(&request.record.farm())?,
            top: top.clone(),
            user: request.user,
            groups,
            writable: BTreeMap::new(),
            places: Vec::new(),
        };
        let mut entries = present(request.view).peekable();
        if entries.peek().is_none_or(|entry| entry.at() != Path::new("/")) {
            builder.farm.directory(request.at, &top, (ROOT_MODE, 0, 0))?;
        }
        for entry in entries {
            builder.add(entry)?;
        }
        let places = Places { mount_point: top, in_memory: false, places: builder.places };
        Ok(Box::new(HardlinkView { view, farm: builder.farm, places }))
    }
}

impl Provisioned for HardlinkView {
    fn root(&self) -> Root {
        Root::Places(self.places.clone())
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
            // The writable directories, and the root, which has to be one.
            mounts: self.places.places.len() as u64 + 1,
            ..ResourceUsage::default()
        };
        Ok(usage.into())
    }
}

impl FarmBuilder<'_> {
    fn add(&mut self, entry: &Entry) -> Result<(), BackendError> {
        let (top, at) = self.host_place(entry.at())?;
        match entry {
            Entry::Directory { mode, owner, .. } => {
                self.farm.directory(&top, &at, (*mode, owner.uid, owner.gid))?;
            }
            Entry::Inline { contents, mode, .. } => {
                self.farm.file(&top, &at, contents.as_bytes(), *mode)?;
            }
            Entry::Symlink { target, .. } => self.farm.symlink(&top, &at, target.as_os_str())?,
            Entry::Device { at: place, .. } if cfg!(target_os = "macos") => {
                return Err(unable(place, "this system has devices in /dev only"));
            }
            // The jail mounts the device on it.
            Entry::Device { .. } => self.farm.file(&top, &at, &[], 0)?,
            // Nobody is asked what is looked for.
            Entry::Graft { access: Access::Phantom, .. } => {
                self.farm.directory(&top, &at, (0o755, 0, 0))?;
            }
            Entry::Graft { source, .. } if devices::has_devices(source) => {
                self.point(source, (&top, &at))?;
            }
            Entry::Graft { at: place, source, access: Access::Rw, .. } => {
                self.show(place, source, (&top, &at))?;
            }
            Entry::Graft { source, .. } => {
                let reader = Reader { uid: self.user.uid, groups: &self.groups };
                self.farm.link(&top, &at, source, reader)?;
            }
            Entry::Scratch { at: place, source, mode, owner } => {
                let others_write = mode & 0o022 != 0 && mode & 0o1000 == 0;
                let is_owned = owner.uid == self.user.uid || others_write;
                self.show(place, source, (&top, &at))?;
                self.writable.insert(place.clone(), Scratch { source: source.clone(), is_owned });
            }
        }
        Ok(())
    }

    /// Leaves a writable path to the jail, which binds it.
    fn show(&mut self, place: &Path, source: &Path, (top, at): (&Path, &Path)) -> Result<(), BackendError> {
        self.point(source, (top, at))?;
        self.places.push(Place { at: place.into(), what: PlaceKind::Writable { source: source.into() } });
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

    /// Where on the host an entry goes, and the directory above it that is there already: in the farm, or in the
    /// writable host directory that is shown there.
    fn host_place(&self, at: &Path) -> Result<(PathBuf, PathBuf), BackendError> {
        for above in at.ancestors().skip(1) {
            let Some(scratch) = self.writable.get(above) else { continue };
            if scratch.is_owned {
                return Err(unable(at, "it lies in a directory where the build could remove it"));
            }
            let below = at.strip_prefix(above).unwrap_or(at);
            return Ok((scratch.source.clone(), scratch.source.join(below)));
        }
        let below = at.strip_prefix("/").unwrap_or(at);
        let is_root = below.as_os_str() == OsStr::new("");
        let holder = self.top.parent().unwrap_or(&self.top);
        Ok(if is_root { (holder.into(), self.top.clone()) } else { (self.top.clone(), self.top.join(below)) })
    }
}

fn unable(at: &Path, reason: &'static str) -> BackendError {
    BackendError::Unable { backend: BackendKind::Hardlink, at: at.into(), reason }
}
