//! Linking a file or a tree: the source and the farm are walked through side by side, however deep they are.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::vec;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, openat, readlinkat};
use nix::sys::stat::{self, FileStat, Mode, SFlag};
use nix::unistd::{LinkatFlags, linkat, symlinkat};

use super::copy::Names;
use super::{DIRECTORY, Farm, FarmError, Reader, copy, failed, kind, own};
use crate::tree::{DirStack, LeaveOutcome, Mounts};

/// What is copied since it cannot be linked: it is on another volume; has as many links as there can be; may have no more
/// of them (immutable, or in a bundle of macOS, whose .app and .lproj are refused); is of a kind, or on a file system,
/// that has none. macOS has two numbers for the last, and gives `ENOTSUP` (`err_link` in `bsd/vfs/vfs_support.c`).
const UNLINKABLE: [Errno; 5] = [Errno::EXDEV, Errno::EMLINK, Errno::EPERM, Errno::ENOTSUP, Errno::EOPNOTSUPP];

/// Links what one reader is to see.
pub(super) struct Linker<'a> {
    farm: &'a mut Farm,
    reader: Reader<'a>,
    from: DirStack,
    to: DirStack,
    /// For each directory on the way down: the source's attributes, and the names in it that are not linked yet.
    levels: Vec<(FileStat, vec::IntoIter<OsString>)>,
}

impl<'a> Linker<'a> {
    /// From one open directory to another, each with its path.
    pub fn new(
        farm: &'a mut Farm,
        reader: Reader<'a>,
        (from, source): (OwnedFd, &Path),
        (to, at): (OwnedFd, &Path),
    ) -> io::Result<Linker<'a>> {
        let from = DirStack::of(from, source, Mounts::Enter)?;
        let to = DirStack::of(to, at, Mounts::Enter)?;
        Ok(Linker { farm, reader, from, to, levels: Vec::new() })
    }

    /// Links one name of the first directory, with all that is below it.
    pub fn run(mut self, source: &OsStr, name: &OsStr) -> Result<(), FarmError> {
        self.link(source, name)?;
        while let Some((_, names)) = self.levels.last_mut() {
            match names.next() {
                Some(name) => self.link(&name, &name)?,
                None => self.leave()?,
            }
        }
        Ok(())
    }

    /// Links what is no directory, and enters what is one.
    fn link(&mut self, source: &OsStr, name: &OsStr) -> Result<(), FarmError> {
        let cannot = |step, error| failed(step, &self.from.path_of(source), error);
        let (from, to) = (self.from.fd(), self.to.fd());
        let from = from.map_err(|error| cannot("open the directory of", error))?;
        let to = to.map_err(|error| cannot("open the directory of", error))?;
        let names = Names { from, source, to, name };
        let status = names.status().map_err(|error| cannot("look at", error))?;
        let kind = kind(&status);
        if kind != SFlag::S_IFLNK && self.reader.may_write(&status) {
            let path = self.from.path_of(source);
            return Err(FarmError::Writable { uid: self.reader.uid, path });
        }
        if kind != SFlag::S_IFDIR {
            return names.link_file(&status, self.farm).map_err(|(step, error)| cannot(step, error));
        }
        if names.link_directory() {
            self.farm.counts.links += 1;
            return Ok(());
        }
        let opened = openat(names.from, source, DIRECTORY, Mode::empty());
        let opened = opened.map_err(|errno| cannot("open", errno.into()))?;
        let made = own::make(names.to, name, &|| self.to.path_of(name), &mut self.farm.list)?;
        self.farm.counts.inodes += 1;
        let entered = self.from.enter_opened(source, opened);
        let entered = entered.and_then(|()| self.to.enter_opened(name, made));
        let listed = entered.and_then(|()| self.from.names());
        let listed = listed.map_err(|error| failed("list", &self.from.path_of(OsStr::new("")), error))?;
        self.levels.push((status, listed.into_iter()));
        Ok(())
    }

    /// Goes up on both sides, and gives the farm's directory the attributes of the source's.
    fn leave(&mut self) -> Result<(), FarmError> {
        let path = self.to.path_of(OsStr::new(""));
        let cannot = |step, error| failed(step, &path, error);
        let sides = self.from.leave().and_then(|from| Ok((from, self.to.leave()?)));
        match (sides.map_err(|error| cannot("leave", error))?, self.levels.pop()) {
            ((LeaveOutcome::Directory { .. }, LeaveOutcome::Directory { open, .. }), Some((status, _))) => {
                let made = open.fd().map_err(io::Error::from);
                made.and_then(|made| copy::attributes(made, &status))
                    .map_err(|error| cannot("set the attributes of", error))
            }
            _ => Err(cannot("leave", io::Error::other("it was moved meanwhile"))),
        }
    }
}

impl Names<'_> {
    fn status(&self) -> io::Result<FileStat> {
        Ok(stat::fstatat(self.from, self.source, AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }

    fn link_file(&self, status: &FileStat, farm: &mut Farm) -> Result<(), (&'static str, io::Error)> {
        // A view shows no set-id bits, and a link would.
        let linked = if status.st_mode & 0o6000 != 0 && kind(status) == SFlag::S_IFREG {
            Err(Errno::EPERM)
        } else {
            linkat(self.from, self.source, self.to, self.name, LinkatFlags::empty())
        };
        match linked {
            Ok(()) => {
                farm.counts.links += 1;
                return Ok(());
            }
            Err(errno) if UNLINKABLE.contains(&errno) => {}
            Err(errno) => return Err(("link", errno.into())),
        }
        farm.counts.copies += 1;
        farm.counts.inodes += 1;
        let copied = match kind(status) {
            SFlag::S_IFLNK => readlinkat(self.from, self.source)
                .and_then(|target| symlinkat(&*target, self.to, self.name))
                .map_err(io::Error::from)
                .and_then(|()| copy::link_attributes(self.to, self.name, status))
                .map(|()| 0),
            _ => copy::file(self, status),
        };
        farm.counts.copied_bytes += copied.map_err(|error| ("copy", error))?;
        Ok(())
    }

    /// HFS+ links directories too, where root asks for it; everybody else says no in some way.
    #[cfg(target_os = "macos")]
    fn link_directory(&self) -> bool {
        linkat(self.from, self.source, self.to, self.name, LinkatFlags::empty()).is_ok()
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
