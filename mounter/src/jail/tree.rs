//! A root that is put together of mounts, in the supervisor's own mount namespace: nobody on the host sees it.
//!
//! What only the view has lies in a file system in memory, which is read-only in the end. Host paths are opened one
//! name at a time, following no link, and what was opened is what is mounted ([`sys::clone_tree`]). Below a directory
//! that the program may write, only mounts keep their names: nobody can rename or remove what is mounted on.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::mount::{MntFlags, MsFlags};
use nix::sys::stat::{self, FchmodatFlags, FileStat, Mode, SFlag};
use nix::unistd::{Gid, Uid, UnlinkatFlags};

use super::JailError;
use super::place::{Place, PlaceKind, Places};
use crate::sources::Sources;
use crate::sys;

/// In the file system in memory, beside the root: what is mounted below writable directories.
const ASIDE: &str = "aside";

/// Mode of a directory that exists only because a place lies below it.
const PARENT_MODE: u32 = 0o755;

const ITSELF: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);
const DIRECTORY: OFlag = ITSELF.union(OFlag::O_DIRECTORY);
const NOTHING: Option<&str> = None;

/// The root, mounted. It would go with the mount namespace, but for names in writable host directories: those go when
/// this is dropped.
pub(super) struct Tree {
    mount_point: PathBuf,
    root: PathBuf,
    in_memory: bool,
    sources: Sources,
    /// Writable host directories, by where they are in the tree.
    writable: HashMap<PathBuf, usize>,
    writable_sources: Vec<OwnedFd>,
    placeholders: Vec<Placeholder>,
    aside: u32,
}

/// A name that was made in a writable host directory, to mount on.
struct Placeholder {
    writable: usize,
    name: PathBuf,
    inode: u64,
    directory: bool,
}

/// A directory of the tree to put something into.
struct ParentDir {
    directory: OwnedFd,
    /// The writable host directory that it is, if it is one.
    writable: Option<usize>,
}

impl Tree {
    /// Makes all places.
    pub fn make(places: &Places) -> Result<Tree, JailError> {
        let mut tree = Tree {
            mount_point: places.mount_point.clone(),
            root: places.root(),
            in_memory: places.in_memory,
            sources: Sources::default(),
            writable: HashMap::new(),
            writable_sources: Vec::new(),
            placeholders: Vec::new(),
            aside: 0,
        };
        tree.mount_root().map_err(|source| failed("/".as_ref(), "make", source))?;
        let mut sorted: Vec<&Place> = places.places.iter().collect();
        sorted.sort_by_key(|place| &place.at);
        for place in sorted {
            tree.put(place)?;
        }
        if tree.in_memory {
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            nix::mount::mount(NOTHING, &tree.mount_point, NOTHING, flags, NOTHING)
                .map_err(|errno| failed("/".as_ref(), "make read-only", errno.into()))?;
        }
        Ok(tree)
    }

    fn mount_root(&self) -> io::Result<()> {
        if self.in_memory {
            let data = Some("mode=0700,size=50%,nr_inodes=0");
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
            nix::mount::mount(Some("loopbox"), &self.mount_point, Some("tmpfs"), flags, data)?;
            fs::create_dir(self.mount_point.join(ASIDE))?;
            fs::create_dir(&self.root)?;
            fs::set_permissions(&self.root, std::os::unix::fs::PermissionsExt::from_mode(PARENT_MODE))?;
        }
        // pivot_root(2) wants a mount, and what is mounted from here on has to be on it.
        let root = nix::fcntl::open(&self.root, DIRECTORY, Mode::empty())?;
        let own = sys::clone_tree(root.as_fd(), sys::NO_DEVICES)?;
        sys::mount_tree(own.as_fd(), root.as_fd())
    }

    fn put(&mut self, place: &Place) -> Result<(), JailError> {
        let at = place.at.as_path();
        let step = |step: &'static str| move |source: io::Error| failed(at, step, source);
        let Some((parent, name)) = at.parent().zip(at.file_name()) else {
            return self.put_root(&place.what).map_err(step("make"));
        };
        let parent = self.open_parent(parent).map_err(step("make the directory of"))?;
        let source = match &place.what {
            PlaceKind::Shown { source } | PlaceKind::Writable { source } => {
                Some(self.open_source(source).map_err(step("open the source of"))?)
            }
            _ => None,
        };
        self.put_in(&parent, name, at, &place.what, source).map_err(step("make"))
    }

    /// The root is there already.
    fn put_root(&mut self, what: &PlaceKind) -> io::Result<()> {
        let root = nix::fcntl::open(&self.root, DIRECTORY, Mode::empty())?;
        match what {
            PlaceKind::Directory { mode, uid, gid } => own(root, ".".as_ref(), *mode, *uid, *gid),
            PlaceKind::Shown { source } | PlaceKind::Writable { source } => {
                let source = self.open_source(source)?;
                self.show(&source, &root, "/".as_ref(), what)
            }
            _ => Err(Errno::ENOTDIR.into()),
        }
    }

    fn put_in(
        &mut self,
        parent: &ParentDir,
        name: &OsStr,
        at: &Path,
        what: &PlaceKind,
        source: Option<OwnedFd>,
    ) -> io::Result<()> {
        if let Some(source) = source {
            let status = stat::fstat(&source)?;
            if kind(&status) == SFlag::S_IFLNK {
                let target = readlinkat(&source, "")?;
                self.link(parent, name, &target)?;
                return like(&parent.directory, name, &status);
            }
            let point = self.point(parent, name, kind(&status) == SFlag::S_IFDIR)?;
            return self.show(&source, &point, at, what);
        }
        match (what, parent.writable) {
            (PlaceKind::Symlink { target }, _) => self.link(parent, name, target.as_os_str()),
            (_, None) => make(&parent.directory, name, what),
            (_, Some(_)) => {
                let point = self.point(parent, name, matches!(what, PlaceKind::Directory { .. }))?;
                let aside = nix::fcntl::open(&self.mount_point.join(ASIDE), DIRECTORY, Mode::empty())?;
                let unused = self.aside.to_string();
                self.aside += 1;
                make(&aside, unused.as_ref(), what)?;
                let made = openat(&aside, unused.as_str(), ITSELF, Mode::empty())?;
                let own = sys::clone_tree(made.as_fd(), sys::NO_DEVICES)?;
                sys::mount_tree(own.as_fd(), point.as_fd())
            }
        }
    }

    /// Mounts a host file or directory.
    fn show(&mut self, source: &OwnedFd, point: &OwnedFd, at: &Path, what: &PlaceKind) -> io::Result<()> {
        let writable = matches!(what, PlaceKind::Writable { .. });
        let attributes = if writable { sys::NO_DEVICES } else { sys::NO_DEVICES | sys::READ_ONLY };
        sys::mount_tree(sys::clone_tree(source.as_fd(), attributes)?.as_fd(), point.as_fd())?;
        if writable {
            self.writable.insert(at.into(), self.writable_sources.len());
            self.writable_sources.push(source.try_clone()?);
        }
        Ok(())
    }

    /// The directory at a place in the tree; what is missing on the way to it is made.
    fn open_parent(&mut self, at: &Path) -> io::Result<ParentDir> {
        let root = nix::fcntl::open(&self.root, DIRECTORY, Mode::empty())?;
        let mut parent = ParentDir { directory: root, writable: self.writable.get(Path::new("/")).copied() };
        let mut path = PathBuf::from("/");
        for name in at.iter().skip(1) {
            path.push(name);
            let directory = match openat(&parent.directory, name, DIRECTORY, Mode::empty()) {
                Err(Errno::ENOENT) => {
                    let kind = PlaceKind::Directory { mode: PARENT_MODE, uid: 0, gid: 0 };
                    self.put_in(&parent, name, &path, &kind, None)?;
                    openat(&parent.directory, name, DIRECTORY, Mode::empty())
                }
                opened => opened,
            }?;
            parent = ParentDir { directory, writable: self.writable.get(&path).copied() };
        }
        Ok(parent)
    }

    /// A file or directory to mount on.
    fn point(&mut self, parent: &ParentDir, name: &OsStr, directory: bool) -> io::Result<OwnedFd> {
        let made = if directory {
            stat::mkdirat(&parent.directory, name, Mode::from_bits_truncate(0o700))
        } else {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            openat(&parent.directory, name, flags, Mode::empty()).map(drop)
        };
        let point = openat(&parent.directory, name, ITSELF, Mode::empty());
        match made {
            Ok(()) => self.remember(parent, name)?,
            // What a writable directory has at this name is hidden by the mount, if it is of the right kind.
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(point?)
    }

    fn link(&mut self, parent: &ParentDir, name: &OsStr, target: &OsStr) -> io::Result<()> {
        if parent.writable.is_some() {
            let status = stat::fstat(&parent.directory)?;
            // Nothing can be mounted on a link, so only the sticky bit keeps its name (unlink(2)).
            let others_write = status.st_mode & 0o022 != 0 && status.st_mode & 0o1000 == 0;
            if status.st_uid != 0 || others_write {
                let text = "a symbolic link below a directory that the program owns would not be protected";
                return Err(io::Error::new(io::ErrorKind::Unsupported, text));
            }
        }
        nix::unistd::symlinkat(target, &parent.directory, name)?;
        self.remember(parent, name)
    }

    /// Notes a name that was made in a writable host directory.
    fn remember(&mut self, parent: &ParentDir, name: &OsStr) -> io::Result<()> {
        if let Some(writable) = parent.writable {
            let status = stat::fstatat(&parent.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let directory = kind(&status) == SFlag::S_IFDIR;
            self.placeholders.push(Placeholder {
                writable,
                name: name.into(),
                inode: status.st_ino,
                directory,
            });
        }
        Ok(())
    }

    /// A name of ours that holds nothing. Nothing else is ever removed.
    fn remove_placeholders(&mut self) {
        for placeholder in self.placeholders.drain(..).rev() {
            let Placeholder { writable, name, inode, directory } = placeholder;
            let Some(parent) = self.writable_sources.get(writable) else { continue };
            let ours = stat::fstatat(parent, &name, AtFlags::AT_SYMLINK_NOFOLLOW)
                .is_ok_and(|status| status.st_ino == inode);
            let flag = if directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
            if ours && let Err(errno) = nix::unistd::unlinkat(parent, &name, flag) {
                tracing::warn!("cannot remove {name:?}, which was mounted on: {errno}");
            }
        }
    }

    /// The source itself may be a link, and is opened as one.
    fn open_source(&mut self, source: &Path) -> io::Result<OwnedFd> {
        let (parent, name) = self.sources.holder(source)?;
        Ok(openat(parent, name, ITSELF, Mode::empty())?)
    }
}

/// Nobody is inside any more, or nobody has been.
impl Drop for Tree {
    fn drop(&mut self) {
        for at in [Some(&self.root), self.in_memory.then_some(&self.mount_point)].into_iter().flatten() {
            match nix::mount::umount2(at, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
                // It was not made.
                Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
                Err(errno) => tracing::warn!("cannot take {at:?} away: {errno}"),
            }
        }
        self.remove_placeholders();
    }
}

/// Makes what is not of the host.
fn make(directory: &OwnedFd, name: &OsStr, what: &PlaceKind) -> io::Result<()> {
    match what {
        PlaceKind::Directory { mode, uid, gid } => {
            match stat::mkdirat(directory, name, Mode::from_bits_truncate(PARENT_MODE)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            own(directory, name, *mode, *uid, *gid)
        }
        PlaceKind::File { contents, mode } => {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            let file = openat(directory, name, flags, Mode::empty())?;
            File::from(file).write_all(contents.as_bytes())?;
            own(directory, name, *mode, 0, 0)
        }
        // These go through the tree, which opens their sources and minds who may remove them.
        PlaceKind::Symlink { .. } | PlaceKind::Shown { .. } | PlaceKind::Writable { .. } => {
            Err(Errno::EINVAL.into())
        }
    }
}

/// The caller's mask has no part in a mode that is declared.
fn own(directory: impl AsFd, name: &OsStr, mode: u32, uid: u32, gid: u32) -> io::Result<()> {
    let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
    nix::unistd::fchownat(&directory, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags)?;
    let mode = Mode::from_bits_truncate(mode & 0o1777);
    Ok(stat::fchmodat(&directory, name, mode, FchmodatFlags::FollowSymlink)?)
}

/// A copied link belongs to whom the source belongs to, and is as old.
fn like(directory: &OwnedFd, name: &OsStr, status: &FileStat) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(status.st_uid), Gid::from_raw(status.st_gid));
    nix::unistd::fchownat(directory, name, Some(uid), Some(gid), AtFlags::AT_SYMLINK_NOFOLLOW)?;
    let time = nix::sys::time::TimeSpec::new(status.st_mtime, status.st_mtime_nsec);
    Ok(stat::utimensat(directory, name, &time, &time, stat::UtimensatFlags::NoFollowSymlink)?)
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}

fn failed(at: &Path, step: &str, source: io::Error) -> JailError {
    JailError::Place { at: at.into(), step: step.into(), source }
}
