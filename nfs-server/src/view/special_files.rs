//! FIFOs and sockets on a host that cannot create them by name: regular files marked as such.
//!
//! FIFOs and sockets work between processes of the client. The server only keeps name, owner, mode and type, and a regular
//! file has all of these but the type, which is kept here by inode number.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::View;
use super::attributes::{Attributes, FileType};
use super::host;
use crate::limits::SPECIAL_FILES_MAX;

/// The contents of such a file, so that it can be recognised on the host, in an output say.
const MARKER: &[u8] =
    b"loopbox: this file stands in for a named pipe or a socket, which this system cannot make\n";

/// The types of such files by device and inode number.
#[derive(Default)]
pub(crate) struct SpecialFileMarkers(RwLock<FxHashMap<(u64, u64), FileType>>);

impl SpecialFileMarkers {
    /// Creates a marked file of this type. The table is locked until the type is in it. EDQUOT when there are too many.
    pub(crate) fn make(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        kind: FileType,
        mode: u32,
    ) -> Result<OwnedFd, Errno> {
        let mut kinds = self.0.write();
        if kinds.len() >= SPECIAL_FILES_MAX {
            return Err(Errno::EDQUOT);
        }
        let mut file = File::from(host::create(directory, name, mode)?);
        if let Err(error) = file.write_all(MARKER) {
            // The disk is full, say. Without the marker it would pass for an ordinary file.
            unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)?;
            return Err(Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO)));
        }
        kinds.insert(host::identity(&nix::sys::stat::fstat(&file)?), kind);
        Ok(file.into())
    }

    /// Forgets a removed file, before its inode number is reused.
    pub(crate) fn forget(&self, identity: (u64, u64)) {
        if !self.0.read().is_empty() {
            self.0.write().remove(&identity);
        }
    }

    fn kind(&self, stat: &FileStat) -> Option<FileType> {
        self.0.read().get(&host::identity(stat)).copied()
    }
}

impl View {
    /// The type of a host file in the view.
    pub(crate) fn kind_of(&self, stat: &FileStat) -> FileType {
        let kind = FileType::of(stat.st_mode);
        if kind != FileType::Regular || self.capabilities.special_files {
            return kind;
        }
        self.special_files.kind(stat).unwrap_or(kind)
    }

    /// The attributes of a host file in the view.
    pub(crate) fn host_attributes(&self, stat: &FileStat) -> Attributes {
        let (device, inode) = host::identity(stat);
        let kind = self.kind_of(stat);
        let mut attributes = Attributes::of(stat, kind, self.fileids.of(device, inode));
        if kind != FileType::of(stat.st_mode) {
            // The marker's size is not shown.
            (attributes.size, attributes.used) = (0, 0);
        }
        for time in [&mut attributes.accessed, &mut attributes.modified, &mut attributes.changed] {
            *time = self.clock.shown(*time);
        }
        attributes
    }
}

/// Whether these contents mark a FIFO or a socket, on a host that can create neither.
#[must_use]
pub fn is_special_file_marker(contents: &[u8]) -> bool {
    contents == MARKER
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_refused_until_another_is_no_more() {
        let place = tempfile::tempdir().unwrap();
        let directory = OwnedFd::from(File::open(place.path()).unwrap());
        let special_files = SpecialFileMarkers::default();
        // No device has this number.
        let others = (0..SPECIAL_FILES_MAX as u64).map(|inode| ((u64::MAX, inode), FileType::Fifo));
        special_files.0.write().extend(others);
        let made = special_files.make(&directory, b"socket", FileType::Socket, 0o600);
        assert_eq!(made.err(), Some(Errno::EDQUOT));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);

        special_files.forget((u64::MAX, 0));
        let made = special_files.make(&directory, b"socket", FileType::Socket, 0o600).unwrap();
        let stat = nix::sys::stat::fstat(&made).unwrap();
        assert_eq!(special_files.kind(&stat), Some(FileType::Socket));
    }
}
