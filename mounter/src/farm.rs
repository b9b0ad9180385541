//! Trees of directories whose files are hard links, and how they are taken apart.
//!
//! A recursive delete is the wrong way: where directories can be links too (HFS+), it would empty what they lead to.
//! So a farm writes down every name that it puts somewhere and every directory that it makes, and whoever takes it apart
//! enters no directory that the farm has not made. The list outlives a farm that is killed, and a later run takes it apart
//! by the same code.

mod copy;
mod error;
mod lent;
mod link;
mod list;
mod own;

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{Gid, Uid};

pub use error::FarmError;
use error::failed;
use lent::Lent;
use list::List;

use crate::sources::Sources;
use crate::tree;

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

/// The user who must not be able to write what is linked.
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

    /// What it consists of so far.
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
        let made = own::make(&holder, name, &|| at.into(), &mut self.list)?;
        self.counts.inodes += 1;
        set_owner(made, mode, uid, gid).map_err(|source| failed("set the owner of", at, source))
    }

    /// Makes a file, owned by root.
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
            set_owner(&file, mode, 0, 0)
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
        let (source_holder, at_holder) = (holder_of(source), holder_of(at));
        let from = from.as_fd().try_clone_to_owned();
        from.and_then(|from| link::Linker::new(self, reader, (from, source_holder), (to, at_holder)))
            .map_err(|error| failed("open the directory of", source, error))?
            .run(source_name, name)
    }

    /// Moves a directory into the farm, which is its own place again when the farm is removed. It has to be on the farm's
    /// volume, where nobody else removes or moves it meanwhile.
    ///
    /// # Errors
    /// [`FarmError::Volume`], and the step that failed.
    pub fn borrow(&mut self, top: &Path, at: &Path, directory: &Path) -> Result<(), FarmError> {
        self.parents(top, at)?;
        self.list.borrow(Lent::new(directory, at)?)
    }

    /// Removes it.
    ///
    /// # Errors
    /// The first entry that could not be removed.
    pub fn remove_farm(self) -> Result<(), FarmError> {
        self.list.remove_farm()
    }

    /// Makes the directories between `top`, which exists, and `at`.
    fn parents(&mut self, top: &Path, at: &Path) -> Result<(), FarmError> {
        let between: Vec<&Path> =
            at.ancestors().skip(1).take_while(|path| *path != top && path.starts_with(top)).collect();
        for path in between.into_iter().rev() {
            if path.symlink_metadata().is_err() {
                let (holder, name) = self.put(path)?;
                let made = own::make(&holder, name, &|| path.into(), &mut self.list)?;
                self.counts.inodes += 1;
                set_owner(made, 0o755, 0, 0).map_err(|source| failed("set the owner of", path, source))?;
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
}

/// Takes apart what a killed farm has left, by its list. No list, no farm.
///
/// # Errors
/// The first entry that could not be removed.
pub fn remove_farm(list: &Path) -> Result<(), FarmError> {
    match List::read(list)? {
        Some(list) => list.remove_farm(),
        None => Ok(()),
    }
}

/// Removes a directory that a farm was in. While the farm's list is there, something of it is, and what would go down
/// into the directory must not.
///
/// # Errors
/// What stays, and why.
pub fn remove_around(list: &Path, directory: &Path) -> io::Result<()> {
    if list.symlink_metadata().is_ok() {
        let text = "the farm of links in it could not be taken apart; a later run tries again";
        return Err(io::Error::other(text));
    }
    tree::remove(directory).map(drop)
}

fn holder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn set_owner(file: impl AsFd, mode: u32, uid: u32, gid: u32) -> io::Result<()> {
    nix::unistd::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
    Ok(stat::fchmod(&file, mode_of(mode))?)
}

#[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
fn mode_of(mode: impl Into<u32>) -> Mode {
    Mode::from_bits_truncate((mode.into() & SHOWN_BITS) as libc::mode_t)
}

fn kind(status: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits())
}
