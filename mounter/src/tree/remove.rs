//! Removing a tree.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use defences::Defence;
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat};
use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::TreeError;
use super::stack::{DirStack, Entry, LeaveOutcome, Mounts};

/// Retries after something changed under the walk, before that is an error: names that a system leaves out of a listing
/// while others are removed from it need some, and somebody who fills directories as fast as they are emptied would need
/// more.
const RETRIES_MAX: u32 = 1 << 16;

/// Removes whatever is at a path, a whole tree too; whether there was anything. What is mounted in the tree stays, and so
/// does the tree then. Directories that are closed to their owner are opened.
///
/// # Errors
/// The first thing that cannot be removed, and why, as a [`TreeError`]. What was removed before is gone.
pub fn remove(path: &Path) -> io::Result<bool> {
    let failed = |error: io::Error| TreeError::Step { step: "remove", path: path.into(), error };
    let (parent, name) = path.parent().zip(path.file_name()).ok_or_else(|| failed(Errno::INVAL.into()))?;
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match DirStack::open(parent, Mounts::Refuse) {
        Ok(stack) => Ok(Remover { stack, may_enter: None, retries: 0 }.remove(name)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failed(error).into()),
    }
}

/// The same of a name in an open directory, whose path is `parent`, where only some directories may be entered. Others are
/// removed if they are empty, and of links to directories (HFS+ has them) the links are removed.
pub(crate) fn remove_if(
    opened: OwnedFd,
    parent: &Path,
    name: &OsStr,
    may_enter: &MayEnter<'_>,
) -> Result<bool, TreeError> {
    match DirStack::of(opened, parent, Mounts::Refuse) {
        Ok(stack) => Remover { stack, may_enter: Some(may_enter), retries: 0 }.remove(name),
        Err(error) => Err(TreeError::Step { step: "list", path: parent.into(), error }),
    }
}

type MayEnter<'a> = dyn Fn(BorrowedFd<'_>) -> io::Result<bool> + 'a;

struct Remover<'a> {
    /// Its top holds what is removed, and only that.
    stack: DirStack,
    may_enter: Option<&'a MayEnter<'a>>,
    retries: u32,
}

/// What became of a name in the current directory.
enum RemoveOutcome {
    /// It is gone.
    Removed,
    /// It was not there.
    Absent,
    /// It is a directory, and the current one now.
    Entered,
}

impl Remover<'_> {
    fn remove(mut self, name: &OsStr) -> Result<bool, TreeError> {
        loop {
            match self.remove_or_enter(name, None)? {
                RemoveOutcome::Removed => return Ok(true),
                RemoveOutcome::Absent => return Ok(self.retries > 0),
                RemoveOutcome::Entered => {}
            }
            if self.empty()? {
                return Ok(true);
            }
            // Directories were moved, and what led here is not known any more.
            self.stack.return_to_top();
            self.count_retry(name)?;
        }
    }

    /// Removes all that is below the top, from the current directory on. False when directories were moved meanwhile.
    fn empty(&mut self) -> Result<bool, TreeError> {
        while self.stack.depth() > 0 {
            match self.stack.next_entry() {
                Some(Ok(Entry { name, is_directory })) => {
                    self.remove_or_enter(&name, is_directory)?;
                }
                Some(Err(error)) => return Err(self.failed("list", OsStr::new(""), error)),
                None => match self.leave()? {
                    LeaveOutcome::Directory { name, .. } => self.remove_emptied(&name)?,
                    LeaveOutcome::Moved => return Ok(false),
                    LeaveOutcome::Top => {}
                },
            }
        }
        Ok(true)
    }

    /// Removes a name in the current directory, or enters it. What it is may be unknown, or have changed.
    fn remove_or_enter(
        &mut self,
        name: &OsStr,
        is_directory: Option<bool>,
    ) -> Result<RemoveOutcome, TreeError> {
        let known = is_directory == Some(true) && self.may_enter.is_none();
        let mut unlink = !known && Defence::RemovedLinks.stands();
        loop {
            let refused = match unlink.then(|| self.unlink(name, AtFlags::empty())) {
                Some(Ok(())) => return Ok(RemoveOutcome::Removed),
                Some(Err(Errno::NOENT)) => return Ok(RemoveOutcome::Absent),
                // A directory: Linux says the first, macOS the second.
                Some(Err(errno @ (Errno::ISDIR | Errno::PERM))) => Some(errno),
                Some(Err(errno)) => return Err(self.failed("remove", name, errno.into())),
                None => None,
            };
            match self.enter(name) {
                Ok(()) => return self.entered(),
                Err(Errno::NOENT) => return Ok(RemoveOutcome::Absent),
                Err(Errno::NOTDIR | Errno::LOOP) if refused == Some(Errno::PERM) => {
                    return Err(self.failed("remove", name, Errno::PERM.into()));
                }
                // It has become something else.
                Err(Errno::NOTDIR | Errno::LOOP) => self.count_retry(name)?,
                Err(Errno::XDEV) => return Err(TreeError::Mounted { path: self.stack.path_of(name) }),
                Err(errno) => return Err(self.failed("enter", name, errno.into())),
            }
            unlink = true;
        }
    }

    /// Leaves a directory again that must not have been entered, and removes it if it is empty.
    fn entered(&mut self) -> Result<RemoveOutcome, TreeError> {
        let Some(may_enter) = self.may_enter else { return Ok(RemoveOutcome::Entered) };
        let may = self.stack.fd().and_then(may_enter);
        if may.map_err(|error| self.failed("look at", OsStr::new(""), error))? {
            return Ok(RemoveOutcome::Entered);
        }
        let LeaveOutcome::Directory { name, .. } = self.leave()? else {
            return Err(TreeError::Changing { path: self.stack.path_of(OsStr::new("")) });
        };
        match self.unlink(&name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(RemoveOutcome::Removed),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {
                Err(TreeError::Foreign { path: self.stack.path_of(&name) })
            }
            Err(errno) => Err(self.failed("remove", &name, errno.into())),
        }
    }

    /// Removes the name of a directory that was emptied and left.
    fn remove_emptied(&mut self, name: &OsStr) -> Result<(), TreeError> {
        match self.unlink(name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            // Something was added, or a listing left something out.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {
                self.count_retry(name)?;
                self.remove_or_enter(name, None).map(|_| ())
            }
            Err(Errno::BUSY) => Err(TreeError::Mounted { path: self.stack.path_of(name) }),
            Err(errno) => Err(self.failed("remove", name, errno.into())),
        }
    }

    fn unlink(&self, name: &OsStr, flags: AtFlags) -> Result<(), Errno> {
        let unlink = || unlinkat(self.stack.fd().map_err(|error| errno(&error))?, name, flags);
        match unlink() {
            Err(Errno::ACCESS) if self.open_up() => unlink(),
            done => done,
        }
    }

    fn enter(&mut self, name: &OsStr) -> Result<(), Errno> {
        match self.stack.enter(name).map_err(|error| errno(&error)) {
            Err(Errno::ACCESS) => {
                self.open_up();
                let mode = FchmodatFlags::NoFollowSymlink;
                // If that is not allowed either, the next try says so.
                let _ = fchmodat(self.stack.fd().map_err(|error| errno(&error))?, name, Mode::S_IRWXU, mode);
                self.stack.enter(name).map_err(|error| errno(&error))
            }
            entered => entered,
        }
    }

    fn leave(&mut self) -> Result<LeaveOutcome, TreeError> {
        let left = match self.stack.leave() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.open_up() => {
                self.stack.leave()
            }
            left => left,
        };
        left.map_err(|error| self.failed("leave", OsStr::new(""), error))
    }

    /// Lets the owner into the current directory, if it is one of the tree. Root needs no permission.
    fn open_up(&self) -> bool {
        let changed = || fchmod(self.stack.fd().ok()?, Mode::S_IRWXU).ok();
        self.stack.depth() > 0 && changed().is_some()
    }

    /// Counts one more retry after a change.
    fn count_retry(&mut self, name: &OsStr) -> Result<(), TreeError> {
        self.retries += 1;
        if self.retries > RETRIES_MAX {
            return Err(TreeError::Changing { path: self.stack.path_of(name) });
        }
        Ok(())
    }

    fn failed(&self, step: &'static str, name: &OsStr, error: io::Error) -> TreeError {
        TreeError::Step { step, path: self.stack.path_of(name), error }
    }
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
