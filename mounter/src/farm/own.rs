//! Directories that a farm has made: the only ones that are entered when it is taken apart.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{self, Mode};
use nix::unistd::UnlinkatFlags;

use super::list::{Identity, List};
use super::{DIRECTORY, FarmError, failed};

/// An open directory that the farm of the list has made. It can be had in two ways, and both ask for that.
#[derive(Debug)]
pub(super) struct OwnDirectory(OwnedFd);

impl OwnDirectory {
    /// Makes one and writes it down. A farm that is killed between the two leaves an empty directory, which is removed
    /// without being entered.
    pub fn make(holder: impl AsFd, name: &OsStr, list: &mut List) -> Result<OwnDirectory, FarmError> {
        let step = |source: io::Error| failed("make", Path::new(name), source);
        stat::mkdirat(&holder, name, Mode::S_IRWXU).map_err(|errno| step(errno.into()))?;
        let opened = openat(&holder, name, DIRECTORY, Mode::empty()).map_err(|errno| step(errno.into()))?;
        list.made(Identity::of(&opened).map_err(step)?)?;
        Ok(OwnDirectory(opened))
    }

    /// Opens one by its name; `None` if what has this name was not made by the farm, a link to a directory above all.
    pub fn enter(holder: impl AsFd, name: &OsStr, list: &List) -> io::Result<Option<OwnDirectory>> {
        let opened = openat(holder, name, DIRECTORY, Mode::empty())?;
        Ok(list.has_made(Identity::of(&opened)?).then_some(OwnDirectory(opened)))
    }

    /// The directory, to put something into.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Removes all that is in it.
    fn clear(&self, path: &Path, list: &List) -> Result<(), FarmError> {
        // Its mode is the source's, which may not let its owner write.
        stat::fchmod(&self.0, Mode::S_IRWXU).map_err(|errno| failed("empty", path, errno.into()))?;
        for name in names(&self.0).map_err(|source| failed("list", path, source))? {
            remove(self.fd(), &name, &path.join(&name), list)?;
        }
        Ok(())
    }
}

/// Removes a name: a file, a link of either kind, an empty directory, or a directory that the farm has made, with what
/// is in it. Whatever else it is stays.
pub(super) fn remove(
    holder: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    list: &List,
) -> Result<(), FarmError> {
    let step = |errno: Errno| failed("remove", path, errno.into());
    // For a link to a directory too this is the right call, and it reaches nothing that is in the directory.
    match nix::unistd::unlinkat(holder, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => return Ok(()),
        // A directory: Linux says the first, macOS the second.
        Err(Errno::EISDIR | Errno::EPERM) => {}
        Err(errno) => return Err(step(errno)),
    }
    if let Some(own) =
        OwnDirectory::enter(holder, name, list).map_err(|error| failed("enter", path, error))?
    {
        own.clear(path, list)?;
    }
    match nix::unistd::unlinkat(holder, name, UnlinkatFlags::RemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Err(FarmError::Foreign { path: path.into() }),
        Err(errno) => Err(step(errno)),
    }
}

/// The names in a directory.
pub(super) fn names(directory: impl AsFd) -> io::Result<Vec<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut listing = Dir::openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in listing.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
