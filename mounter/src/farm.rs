//! Trees of directories whose files are hard links, and how they are taken apart.
//!
//! A recursive delete is the wrong way: where directories can be links too (HFS+), it would empty what they lead to.
//! So a farm writes down every name that it puts somewhere and every directory that it makes, and
//! [`own::OwnDirectory`] is the only way down: it cannot be had of a directory that the farm has not made. The list
//! outlives a farm that is killed, and a later run takes it apart by the same code.

mod copy;
mod error;
mod list;
mod own;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{Gid, LinkatFlags, Uid};

pub use error::FarmError;
use error::failed;
use list::List;
use own::OwnDirectory;

use crate::sources::Sources;

/// How deep a linked tree may be. Each directory on the way down holds two descriptors, of which a process has 1024 where
/// nobody has changed that; a store path goes down 64 directories at most.
const MAX_DEPTH: usize = 400;

/// The bits of a mode that a view shows.
const SHOWN_BITS: u32 = 0o1777;

const DIRECTORY: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// A farm that exists. Dropping it takes it apart.
#[derive(Debug)]
pub struct Farm {
    list: List,
    counts: Counts,
    sources: Sources,
}

/// What a farm is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Directories, copies and files of its own: inodes that were not there before.
    pub inodes: u64,
    /// Hard links.
    pub links: u64,
    /// Files and symbolic links that could not be linked.
    pub copies: u64,
    /// Bytes that were copied, those of clones not included.
    pub copied_bytes: u64,
}

/// Who must not be able to write what is linked.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    /// User.
    pub uid: u32,
    /// Groups.
    pub groups: &'a [u32],
}

impl Farm {
    /// Begins a farm; `list` is where it is written down what it makes.
    ///
    /// # Errors
    /// [`FarmError::List`].
    pub fn begin(list: &Path) -> Result<Farm, FarmError> {
        Ok(Farm { list: List::begin(list)?, counts: Counts::default(), sources: Sources::default() })
    }

    /// What it is made of by now.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Makes a directory, and those that lead to it below `top`.
    ///
    /// # Errors
    /// The step that failed.
    pub fn directory(
        &mut self,
        top: &Path,
        at: &Path,
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<(), FarmError> {
        self.parents(top, at)?;
        let (holder, name) = self.put(at)?;
        let made = OwnDirectory::make(&holder, name, &mut self.list)?;
        self.counts.inodes += 1;
        own(made.fd(), mode, uid, gid).map_err(|source| failed("set the owner of", at, source))
    }

    /// Makes a file, root's.
    ///
    /// # Errors
    /// The step that failed.
    pub fn file(&mut self, top: &Path, at: &Path, contents: &[u8], mode: u32) -> Result<(), FarmError> {
        self.parents(top, at)?;
        let (holder, name) = self.put(at)?;
        self.counts.inodes += 1;
        let write = || {
            let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
            let file = openat(&holder, name, flags, Mode::empty())?;
            io::Write::write_all(&mut std::fs::File::from(file.try_clone()?), contents)?;
            own(&file, mode, 0, 0)
        };
        write().map_err(|source| failed("make", at, source))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// The step that failed.
    pub fn symlink(&mut self, top: &Path, at: &Path, target: &OsStr) -> Result<(), FarmError> {
        self.parents(top, at)?;
        let (holder, name) = self.put(at)?;
        self.counts.inodes += 1;
        nix::unistd::symlinkat(target, &holder, name).map_err(|errno| failed("make", at, errno.into()))
    }

    /// Makes a character device.
    ///
    /// # Errors
    /// The step that failed.
    pub fn device(
        &mut self,
        top: &Path,
        at: &Path,
        (major, minor): (u32, u32),
        (mode, uid, gid): (u32, u32, u32),
    ) -> Result<(), FarmError> {
        self.parents(top, at)?;
        self.put(at)?;
        self.counts.inodes += 1;
        let make = || {
            stat::mknod(at, SFlag::S_IFCHR, Mode::empty(), device(major, minor))?;
            std::os::unix::fs::lchown(at, Some(uid), Some(gid))?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode & SHOWN_BITS);
            std::fs::set_permissions(at, mode)
        };
        make().map_err(|source| failed("make", at, source))
    }

    /// Links a host file, or a host directory with all that is in it. Nobody who reads the farm may be able to write
    /// what is linked: a link has no mode of its own.
    ///
    /// # Errors
    /// The step that failed.
    pub fn link(
        &mut self,
        top: &Path,
        at: &Path,
        source: &Path,
        reader: Reader<'_>,
    ) -> Result<(), FarmError> {
        self.parents(top, at)?;
        let opened = self.sources.holder(source);
        let (from, source_name) = opened.map_err(|error| failed("open the directory of", source, error))?;
        let (to, name) = self.put(at)?;
        let names = Names { from: from.as_fd(), source: source_name, to: to.as_fd(), name };
        self.link_tree(&names, source, reader, 0)
    }

    /// Takes it apart.
    ///
    /// # Errors
    /// The first thing that stays, and why.
    pub fn take_apart(self) -> Result<(), FarmError> {
        self.list.take_apart()
    }

    /// Makes the directories between `top`, which exists, and `at`.
    fn parents(&mut self, top: &Path, at: &Path) -> Result<(), FarmError> {
        let between: Vec<&Path> =
            at.ancestors().skip(1).take_while(|path| *path != top && path.starts_with(top)).collect();
        for path in between.into_iter().rev() {
            if path.symlink_metadata().is_err() {
                let (holder, name) = self.put(path)?;
                let made = OwnDirectory::make(&holder, name, &mut self.list)?;
                self.counts.inodes += 1;
                own(made.fd(), 0o755, 0, 0).map_err(|source| failed("set the owner of", path, source))?;
            }
        }
        Ok(())
    }

    /// Writes a name down, and opens the directory that it is to be in.
    fn put<'a>(&mut self, at: &'a Path) -> Result<(OwnedFd, &'a OsStr), FarmError> {
        self.list.put(at)?;
        let (holder, name) = at.parent().zip(at.file_name()).unwrap_or((Path::new("/"), ".".as_ref()));
        let holder = nix::fcntl::open(holder, DIRECTORY, Mode::empty())
            .map_err(|errno| failed("open the directory of", at, errno.into()))?;
        Ok((holder, name))
    }

    fn link_tree(
        &mut self,
        names: &Names<'_>,
        path: &Path,
        reader: Reader<'_>,
        depth: usize,
    ) -> Result<(), FarmError> {
        let status = names.status().map_err(|source| failed("look at", path, source))?;
        let kind = kind(&status);
        if kind != SFlag::S_IFLNK && reader.may_write(&status) {
            return Err(FarmError::Writable { uid: reader.uid, path: path.into() });
        }
        if kind != SFlag::S_IFDIR {
            return self.link_file(names, &status, path);
        }
        if names.link_directory() {
            self.counts.links += 1;
            return Ok(());
        }
        if depth >= MAX_DEPTH {
            return Err(FarmError::Depth { path: path.into() });
        }
        let from = openat(names.from, names.source, DIRECTORY, Mode::empty())
            .map_err(|errno| failed("open", path, errno.into()))?;
        let made = OwnDirectory::make(names.to, names.name, &mut self.list)?;
        self.counts.inodes += 1;
        for name in own::names(&from).map_err(|source| failed("list", path, source))? {
            let below = Names { from: from.as_fd(), source: &name, to: made.fd(), name: &name };
            self.link_tree(&below, &path.join(&name), reader, depth + 1)?;
        }
        copy::attributes(made.fd(), &status).map_err(|source| failed("set the attributes of", path, source))
    }

    fn link_file(&mut self, names: &Names<'_>, status: &FileStat, path: &Path) -> Result<(), FarmError> {
        // A view shows no set-id bits, and a link would.
        let linked = if status.st_mode & 0o6000 != 0 && kind(status) == SFlag::S_IFREG {
            Err(Errno::EPERM)
        } else {
            let flags = LinkatFlags::empty();
            nix::unistd::linkat(names.from, names.source, names.to, names.name, flags)
        };
        match linked {
            Ok(()) => {
                self.counts.links += 1;
                return Ok(());
            }
            // Another volume; as many links as there can be; a file that may have no more of them (immutable, or in
            // a bundle of macOS, whose .app and .lproj are refused); a kind of file that has none.
            Err(Errno::EXDEV | Errno::EMLINK | Errno::EPERM | Errno::EOPNOTSUPP) => {}
            Err(errno) => return Err(failed("link", path, errno.into())),
        }
        self.counts.copies += 1;
        self.counts.inodes += 1;
        let copied = match kind(status) {
            SFlag::S_IFLNK => readlinkat(names.from, names.source)
                .and_then(|target| nix::unistd::symlinkat(&*target, names.to, names.name))
                .map_err(io::Error::from)
                .and_then(|()| copy::link_attributes(names.to, names.name, status))
                .map(|()| 0),
            _ => copy::file(names, status),
        };
        self.counts.copied_bytes += copied.map_err(|source| failed("copy", path, source))?;
        Ok(())
    }
}

/// Takes apart what a killed farm has left, by its list. No list, no farm.
///
/// # Errors
/// The first thing that stays, and why.
pub fn take_apart(list: &Path) -> Result<(), FarmError> {
    match List::read(list)? {
        Some(list) => list.take_apart(),
        None => Ok(()),
    }
}

/// Removes a directory that a farm was in. While the farm's list is there, something of it is, and what would go down
/// into the directory must not.
///
/// # Errors
/// Those of `remove`.
pub fn remove_around(
    list: &Path,
    directory: &Path,
    remove: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    if list.symlink_metadata().is_ok() {
        let text = "the farm of links in it could not be taken apart; a later run tries again";
        return Err(io::Error::other(text));
    }
    remove(directory)
}

/// A source, and where its link goes: each a name in an open directory.
struct Names<'a> {
    from: std::os::fd::BorrowedFd<'a>,
    source: &'a OsStr,
    to: std::os::fd::BorrowedFd<'a>,
    name: &'a OsStr,
}

impl Names<'_> {
    fn status(&self) -> io::Result<FileStat> {
        Ok(stat::fstatat(self.from, self.source, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    /// HFS+ links directories too, where root asks for it; everybody else says no in some way.
    #[cfg(target_os = "macos")]
    fn link_directory(&self) -> bool {
        nix::unistd::linkat(self.from, self.source, self.to, self.name, LinkatFlags::empty()).is_ok()
    }

    #[cfg(not(target_os = "macos"))]
    fn link_directory(&self) -> bool {
        false
    }
}

impl Reader<'_> {
    /// Whether the modes let this reader write there, or change the modes so that they do.
    fn may_write(&self, status: &FileStat) -> bool {
        let group = status.st_mode & 0o020 != 0 && self.groups.contains(&status.st_gid);
        self.uid == 0 || status.st_uid == self.uid || group || status.st_mode & 0o002 != 0
    }
}

fn own(file: impl AsFd, mode: u32, uid: u32, gid: u32) -> io::Result<()> {
    nix::unistd::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    Ok(stat::fchmod(&file, mode_of(mode))?)
}

#[cfg(target_os = "linux")]
fn device(major: u32, minor: u32) -> libc::dev_t {
    stat::makedev(major.into(), minor.into())
}

#[cfg(not(target_os = "linux"))]
fn device(major: u32, minor: u32) -> libc::dev_t {
    libc::makedev(major as i32, minor as i32)
}

#[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
fn mode_of(mode: impl Into<u32>) -> Mode {
    Mode::from_bits_truncate((mode.into() & SHOWN_BITS) as libc::mode_t)
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}
