//! Makes the tree of a valid specification, and examines the host's side of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::geteuid;
use parking_lot::Mutex;

use super::{DeclaredNode, HostEntry, NodeKind, SourceDirectory, Tree, open_path};
use crate::view::ViewOptions;
use crate::view::attributes::{FileType, Permissions, permission_bits};
use crate::view::blocking::ResidencyProbe;
use crate::view::caller::AccessMask;
use crate::view::error::OpenError;
use crate::view::host;
use crate::view::quota::FileBlocks;
use crate::view::spec::{Access, Entry, Owner};
use crate::view::use_counters::UseCounters;

/// Mode of a directory that exists only because an entry lies below it.
const PARENT_MODE: u32 = 0o755;

/// Makes a tree, entry by entry, in the order of their paths.
pub(super) struct Builder<'a> {
    options: &'a ViewOptions,
    declared: Vec<DeclaredNode>,
    source_directories: Vec<SourceDirectory>,
    /// Index of each source directory, by its path as the entries name it.
    known_directories: HashMap<PathBuf, usize>,
    devices: BTreeMap<u64, Device>,
}

/// A device that sources lie on.
struct Device {
    entries: usize,
    case_sensitive: bool,
}

impl Builder<'_> {
    pub fn new(options: &ViewOptions) -> Builder<'_> {
        let root = DeclaredNode {
            parent: 0,
            name: Box::default(),
            children: BTreeMap::new(),
            folded: None,
            directories: 0,
            kind: NodeKind::Directory { mode: PARENT_MODE, owner: Owner::default() },
            counters: UseCounters::default(),
        };
        Builder {
            options,
            declared: vec![root],
            source_directories: Vec::new(),
            known_directories: HashMap::new(),
            devices: BTreeMap::new(),
        }
    }

    /// What an entry stands for; nothing for an optional one that the host does not have.
    pub fn kind(&mut self, entry: &Entry) -> Result<Option<NodeKind>, OpenError> {
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
                let mut host_entry = self.host_entry(at, source, Access::Rw, true)?;
                if host_entry.kind != FileType::Directory {
                    return Err(OpenError::NotDirectory { at: at.clone(), source_path: source.clone() });
                }
                if self.options.prepares_scratches {
                    host_entry.shown_owner = prepare_scratch(at, source, *mode, *owner)?;
                }
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
        let (device, inode) = host::identity(&stat);
        let case_sensitive = self.device(device, source);
        let source_name: Box<[u8]> = source.file_name().map_or(&b"."[..], OsStrExt::as_bytes).into();
        let holder = source.parent().unwrap_or(Path::new("/"));
        let source_directory = self.source_directory(at, source, holder)?;
        let kind = FileType::of(stat.st_mode);
        Ok(HostEntry {
            source_directory,
            held: self.hold(source_directory, &source_name, kind).map_err(cannot_open(at, source))?,
            source_name,
            kind,
            device,
            inode,
            access,
            scratch,
            shown_owner: None,
            case_sensitive,
            attr_cache: Mutex::default(),
            residency: ResidencyProbe::default(),
            blocks: FileBlocks::of_size(stat.st_size.try_into().unwrap_or(0)),
        })
    }

    /// Counts one more entry of a device; answers whether that tells case, which is asked once.
    fn device(&mut self, device: u64, source: &Path) -> bool {
        let stat_child =
            || self.options.capabilities.case_sensitive.unwrap_or_else(|| host::case_sensitive(source));
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
        let path = holder.canonicalize().map_err(cannot_open(at, source))?;
        let (mut held, mut searchable) = (None, true);
        if let Some(user) = &self.options.becomes {
            let directory = open_path(&path).map_err(cannot_open(at, source))?;
            let stat = nix::sys::stat::fstat(&directory).map_err(cannot_open(at, source))?;
            searchable = user.caller().may(AccessMask::Execute, FileType::Directory, Permissions::of(&stat));
            held = Some(Arc::new(directory));
        }
        let index = self.source_directories.len();
        self.source_directories.push(SourceDirectory { path, held, searchable });
        self.known_directories.insert(holder.into(), index);
        Ok(index)
    }

    /// Opens a source that whoever serves could not find.
    fn hold(&self, directory: usize, name: &[u8], kind: FileType) -> Result<Option<Arc<OwnedFd>>, Errno> {
        let directory = &self.source_directories[directory];
        let Some(holder) = directory.held.as_ref().filter(|_| !directory.searchable) else { return Ok(None) };
        let source = match kind {
            FileType::Directory => host::open_directory(holder, name)?,
            _ => host::open_itself(holder, name)?,
        };
        Ok(Some(Arc::new(source)))
    }

    /// Puts it where it belongs.
    pub fn place(&mut self, at: &Path, kind: NodeKind) {
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

    /// The tree, once all entries are in their places.
    pub fn finish(mut self) -> Tree {
        self.count_directories();
        let device = self.devices.iter().max_by_key(|(device, uses)| (uses.entries, **device));
        Tree {
            device: device.map(|(device, _)| *device),
            devices: self.representatives(),
            case_sensitive: self.case_sensitive(),
            declared: self.declared,
            source_directories: self.source_directories,
        }
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
        let name = name.into();
        let (children, counters) = (BTreeMap::new(), UseCounters::default());
        self.declared.push(DeclaredNode {
            parent,
            name,
            children,
            folded: None,
            directories: 0,
            kind,
            counters,
        });
        index
    }
}

fn cannot_open<E: Into<io::Error>>(at: &Path, source_path: &Path) -> impl Fn(E) -> OpenError {
    move |error| OpenError::Source {
        step: "open".into(),
        at: at.into(),
        source_path: source_path.into(),
        source: error.into(),
    }
}

fn examine(at: &Path, source: &Path) -> Result<FileStat, OpenError> {
    nix::sys::stat::lstat(source).map_err(|errno| match errno {
        Errno::ENOENT | Errno::ENOTDIR => OpenError::Missing { at: at.into(), source_path: source.into() },
        errno => OpenError::Source {
            step: "examine".into(),
            at: at.into(),
            source_path: source.into(),
            source: errno.into(),
        },
    })
}

/// Sets the mode and owner of a scratch's directory. Only root may give a directory away; for others it answers the owner
/// that the directory is to be shown with.
fn prepare_scratch(at: &Path, source: &Path, mode: u32, owner: Owner) -> Result<Option<Owner>, OpenError> {
    let failed = |step: &'static str| {
        move |error: std::io::Error| OpenError::Source {
            step: step.into(),
            at: at.into(),
            source_path: source.into(),
            source: error,
        }
    };
    let directory = std::fs::File::open(source).map_err(failed("open"))?;
    let current = nix::sys::stat::fstat(&directory).map_err(|errno| failed("examine")(errno.into()))?;
    let mut shown = None;
    if (current.st_uid, current.st_gid) != (owner.uid, owner.gid) {
        match std::os::unix::fs::fchown(&directory, Some(owner.uid), Some(owner.gid)) {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && !geteuid().is_root() => {
                shown = Some(owner);
            }
            given => given.map_err(failed("set the owner of"))?,
        }
    }
    let set = nix::sys::stat::fchmod(&directory, permission_bits(mode));
    set.map_err(|errno| failed("set the mode of")(errno.into()))?;
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::caller::Credentials;
    use crate::view::spec::ViewSpec;

    fn graft(at: &str, source: &Path, access: Access) -> Entry {
        Entry::Graft { at: at.into(), source: source.into(), access, optional: false }
    }

    /// Where the sources are that stand for their devices.
    fn devices(entries: Vec<Entry>) -> Vec<PathBuf> {
        let tree = Tree::new(&ViewSpec { entries }, &ViewOptions::default()).unwrap();
        tree.devices.iter().map(|index| tree.path(*index)).collect()
    }

    #[test]
    fn a_device_is_known_by_its_first_writable_directory_or_else_by_its_first() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        for directory in ["b", "c"] {
            std::fs::create_dir(place.path().join(directory)).unwrap();
        }
        let read_only = |at| graft(at, place.path(), Access::Ro);
        let writable = |at: &str| graft(at, &place.path().join(&at[1..]), Access::Rw);
        assert_eq!(devices(vec![read_only("/a"), read_only("/b")]), [Path::new("/a")]);
        assert_eq!(devices(vec![read_only("/a"), writable("/b"), writable("/c")]), [Path::new("/b")]);
        assert_eq!(devices(vec![writable("/b"), read_only("/c")]), [Path::new("/b")]);
        assert_eq!(devices(vec![graft("/a", &file, Access::Rw), read_only("/b")]), [Path::new("/b")]);
        #[cfg(target_os = "linux")]
        assert_eq!(devices(vec![read_only("/a"), graft("/b", Path::new("/proc"), Access::Ro)]).len(), 2);
    }

    #[test]
    fn what_the_user_who_serves_could_not_open_is_held_open() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        for directory in ["closed/directory", "open/directory"] {
            std::fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        std::fs::write(place.path().join("closed/file"), "").unwrap();
        let set = |name, mode| {
            std::fs::set_permissions(place.path().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set("closed", 0o700);
        set("open", 0o701);
        let entries: Vec<Entry> = ["closed/directory", "closed/file", "open/directory"]
            .map(|name| graft(&format!("/{name}"), &place.path().join(name), Access::Ro))
            .into();
        let nobody = geteuid().as_raw() + 65534;
        let user = Credentials { uid: nobody, gid: nobody, groups: Vec::new() };
        for (becomes, held) in [(Some(user), [true, true, false]), (None, [false; 3])] {
            let options = ViewOptions { becomes: becomes.clone(), ..ViewOptions::default() };
            let tree = Tree::new(&ViewSpec { entries: entries.clone() }, &options).unwrap();
            let found: Vec<bool> = tree.host_entries().map(|(_, entry)| entry.held.is_some()).collect();
            assert_eq!(found, held);
            for (index, (_, entry)) in tree.host_entries().enumerate() {
                let identity = |held: &OwnedFd| host::identity(&nix::sys::stat::fstat(held).unwrap());
                let other =
                    entry.held.as_deref().is_some_and(|it| identity(it) != (entry.device, entry.inode));
                assert!(!other, "{index} is another file");
                let directory = tree.held_source_directory(entry.source_directory);
                assert_eq!(directory.is_some(), becomes.is_some());
            }
        }
    }
}
