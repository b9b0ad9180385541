//! The directories from the top of a tree down to one of them, few of which are open at a time.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use defences::Defence;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::Identity;

/// Directories below the top that are open at a time. Trees that people make are hardly ever deeper, and several walks at
/// a time are far from the 1,024 descriptors that a process may have where nobody has changed that (256 on macOS).
const OPEN_MAX: usize = 16;

/// The longest path that is told as it is, in bytes. Nobody reads more of it.
const TOLD_MAX: usize = 1024;
/// Names that are told at each end of a longer one.
const TOLD_NAMES: usize = 3;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether a walk goes on in what is mounted in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mounts {
    /// Mount points are entered.
    Enter,
    /// To enter a mount point is refused (EXDEV), bind mounts of the same file system included where the kernel can tell.
    Refuse,
}

/// An open directory, and the way back up from it to the top of the tree.
///
/// Directories on the way up are closed when there are too many of them, and found again through `..`, which has to lead
/// to the same directory as before.
pub struct DirStack {
    path: PathBuf,
    mounts: Mounts,
    top: Dir,
    /// From the top down. The last one is open, and the first few may be closed.
    below: Vec<Level>,
    closed: usize,
}

struct Level {
    name: Box<OsStr>,
    /// Known once it is closed.
    identity: Identity,
    /// Boxed, since most directories of a deep tree are closed.
    open: Option<Box<Dir>>,
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Entry {
    /// Its name.
    pub name: OsString,
    /// Whether it is a directory; `None` where the file system does not say that in listings.
    pub is_directory: Option<bool>,
}

/// What [`DirStack::leave`] left.
#[derive(Debug)]
pub enum LeaveOutcome {
    /// The directory of this name, whose parent is the current one now.
    Directory {
        /// Its name there.
        name: Box<OsStr>,
        /// The directory itself.
        open: Box<Dir>,
    },
    /// Nothing: the top is the current directory.
    Top,
    /// Nothing: the current directory is not any more where it was entered.
    Moved,
}

impl DirStack {
    /// Opens the top of a tree. Links on the way to it, and it being one, are the caller's business.
    ///
    /// # Errors
    /// Of open(2).
    pub fn open(path: &Path, mounts: Mounts) -> io::Result<DirStack> {
        DirStack::of(openat(CWD, path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?, path, mounts)
    }

    /// Begins at an open directory, of which nobody else may move the position. `path` is told in errors.
    ///
    /// # Errors
    /// Of fdopendir(3).
    pub fn of(top: OwnedFd, path: &Path, mounts: Mounts) -> io::Result<DirStack> {
        Ok(DirStack { path: path.into(), mounts, top: Dir::new(top)?, below: Vec::new(), closed: 0 })
    }

    /// The current directory.
    ///
    /// # Errors
    /// Of dirfd(3).
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.dir().fd()?)
    }

    /// How many directories below the top the current one is.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.below.len()
    }

    /// The next name in the current directory, `None` at its end. A directory that was closed meanwhile begins anew.
    pub fn next_entry(&mut self) -> Option<io::Result<Entry>> {
        loop {
            let entry = match self.dir_mut().read()? {
                Err(errno) => return Some(Err(errno.into())),
                Ok(entry) => entry,
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let is_directory = match entry.file_type() {
                FileType::Unknown => None,
                kind => Some(kind == FileType::Directory),
            };
            return Some(Ok(Entry { name: OsString::from_vec(name.to_vec()), is_directory }));
        }
    }

    /// The names in the current directory that have not been read yet.
    ///
    /// # Errors
    /// Of readdir(3).
    pub fn names(&mut self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        while let Some(entry) = self.next_entry() {
            names.push(entry?.name);
        }
        Ok(names)
    }

    /// Goes down into a directory. It may be of a mode that does not allow to come back.
    ///
    /// # Errors
    /// Of openat(2): ENOTDIR for whatever else it is, links included.
    pub fn enter(&mut self, name: &OsStr) -> io::Result<()> {
        let open = |stack: &DirStack| open_below(stack.fd()?, name, stack.mounts);
        let opened = match open(self) {
            Err(error) if is_shortage(&error) => {
                self.close_all_but(1)?;
                open(self)?
            }
            opened => opened?,
        };
        self.enter_opened(name, opened)
    }

    /// Goes down into a directory that was opened already, and of which nobody else may move the position.
    ///
    /// # Errors
    /// Of fdopendir(3).
    pub fn enter_opened(&mut self, name: &OsStr, opened: OwnedFd) -> io::Result<()> {
        let open = Some(Box::new(Dir::new(opened)?));
        self.below.push(Level { name: name.into(), identity: Identity::default(), open });
        self.close_all_but(OPEN_MAX)
    }

    /// Goes up.
    ///
    /// # Errors
    /// Of openat(2): EACCES if the current directory may not be searched. It is the current one still.
    pub fn leave(&mut self) -> io::Result<LeaveOutcome> {
        if self.closed > 0 && self.closed + 1 == self.below.len() {
            let parent = open_below(self.fd()?, OsStr::new(".."), Mounts::Enter)?;
            let level = &mut self.below[self.closed - 1];
            if Identity::of(&parent)? != level.identity {
                return Ok(LeaveOutcome::Moved);
            }
            level.open = Some(Box::new(Dir::new(parent)?));
            self.closed -= 1;
        }
        match self.below.pop() {
            Some(Level { name, open: Some(open), .. }) => Ok(LeaveOutcome::Directory { name, open }),
            Some(_) => unreachable!("the current directory is closed"),
            None => Ok(LeaveOutcome::Top),
        }
    }

    /// Goes up to the top, whose names begin anew.
    pub fn return_to_top(&mut self) {
        self.below.clear();
        self.closed = 0;
        self.top.rewind();
    }

    /// The path of a name in the current directory, or of the directory itself if the name is empty, to be told.
    #[must_use]
    pub fn path_of(&self, name: &OsStr) -> PathBuf {
        let mut path = self.path.clone();
        let length: usize = self.below.iter().map(|level| level.name.len() + 1).sum();
        if path.as_os_str().len() + length + name.len() < TOLD_MAX {
            path.extend(self.below.iter().map(|level| &*level.name));
        } else {
            let (first, rest) = self.below.split_at(TOLD_NAMES.min(self.below.len()));
            let (between, last) = rest.split_at(rest.len().saturating_sub(TOLD_NAMES));
            path.extend(first.iter().map(|level| &*level.name));
            path.push(format!("[{} directories]", between.len()));
            path.extend(last.iter().map(|level| &*level.name));
        }
        path.extend((!name.is_empty()).then_some(name));
        path
    }

    fn dir(&self) -> &Dir {
        match self.below.last() {
            None => &self.top,
            Some(Level { open: Some(open), .. }) => open,
            Some(_) => unreachable!("the current directory is closed"),
        }
    }

    fn dir_mut(&mut self) -> &mut Dir {
        match self.below.last_mut() {
            None => &mut self.top,
            Some(Level { open: Some(open), .. }) => open,
            Some(_) => unreachable!("the current directory is closed"),
        }
    }

    /// Closes the directories next to the top until only so many are open, one at least.
    fn close_all_but(&mut self, most: usize) -> io::Result<()> {
        while self.below.len() - self.closed > most.max(1) {
            let level = &mut self.below[self.closed];
            if let Some(open) = &level.open {
                level.identity = Identity::of(open.fd()?)?;
            }
            level.open = None;
            self.closed += 1;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn open_below(directory: BorrowedFd<'_>, name: &OsStr, mounts: Mounts) -> io::Result<OwnedFd> {
    use rustix::fs::{ResolveFlags, openat2};
    if mounts == Mounts::Refuse {
        match openat2(directory, name, directory_flags(), Mode::empty(), ResolveFlags::NO_XDEV) {
            // Before Linux 5.6, or where a filter of system calls is older than that.
            Err(Errno::NOSYS | Errno::PERM) => {}
            opened => return Ok(opened?),
        }
    }
    open_and_compare(directory, name, mounts)
}

#[cfg(not(target_os = "linux"))]
use open_and_compare as open_below;

/// The same where only another file system is seen to be mounted.
fn open_and_compare(directory: BorrowedFd<'_>, name: &OsStr, mounts: Mounts) -> io::Result<OwnedFd> {
    let opened = openat(directory, name, directory_flags(), Mode::empty())?;
    let crosses = || Ok::<_, io::Error>(Identity::of(directory)?.device != Identity::of(&opened)?.device);
    if mounts == Mounts::Refuse && crosses()? {
        return Err(Errno::XDEV.into());
    }
    Ok(opened)
}

/// No link is entered.
fn directory_flags() -> OFlags {
    if Defence::RemovedLinks.stands() { DIRECTORY } else { DIRECTORY.difference(OFlags::NOFOLLOW) }
}

/// Whether this process or the system has no descriptors left.
fn is_shortage(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
