//! Resolves nodes to host files: a directory descriptor and a name in it, checked to be the node's file.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use defences::Defence;
use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::attributes::FileType;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::fd_cache::{OpenFile, OpenHandle, OpenMode};
use super::host;
use super::node::{HostNode, Location, Node, NodeId};
use super::spec::Access;
use super::tree::{HostEntry, NodeKind};
use super::{View, declared};

/// The location of a node's file on the host.
pub(crate) struct Resolved {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) name: Arc<[u8]>,
    pub(crate) stat: FileStat,
}

impl View {
    /// The host-backed entry that a node is or lies below; `None` for nodes without a host file.
    pub(crate) fn host_entry(&self, node: &Node) -> Option<&HostEntry> {
        match &declared(&self.tree, node.entry_index()).kind {
            NodeKind::HostEntry(host_entry) => Some(host_entry),
            _ => None,
        }
    }

    /// Resolves a host node by whichever of its names still leads to it, the latest first.
    pub(crate) fn resolve(&self, node: &HostNode) -> Result<Resolved, Error> {
        if let Some(latest) = node.place()
            && let Some(resolved) = self.resolve_at(node, latest)?
        {
            return Ok(resolved);
        }
        for place in node.locations().into_iter().rev().skip(1) {
            if let Some(resolved) = self.resolve_at(node, place)? {
                return Ok(resolved);
            }
        }
        Err(Error::Stale)
    }

    fn resolve_at(&self, node: &HostNode, place: Location) -> Result<Option<Resolved>, Error> {
        let directory = match self.directory(place.parent) {
            Ok(directory) => directory,
            Err(Error::Stale) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut directory = directory;
        let mut name = place.name;
        let mut stat = host::stat(&*directory, &name);
        if stat == Err(Errno::EACCES) {
            // A directory that is closed by now: what was reached through it before can still be used.
            directory = Arc::new(self.open_through(&directory, &name)?);
            name = host::ITSELF.into();
            stat = nix::sys::stat::fstat(&directory);
        }
        match stat {
            Ok(stat) if self.is(node, &stat) => Ok(Some(Resolved { directory, name, stat })),
            Ok(_) | Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether this is the node's file.
    fn is(&self, node: &HostNode, stat: &FileStat) -> bool {
        let same = host::identity(stat) == node.identity() && self.kind_of(stat) == node.kind;
        same || !Defence::OpenedFiles.stands()
    }

    /// Resolves an entry's source.
    pub(crate) fn resolve_host_entry(&self, host_entry: &HostEntry) -> Result<Resolved, Error> {
        if let Some(held) = &host_entry.held {
            let stat = nix::sys::stat::fstat(held)?;
            return Ok(Resolved { directory: Arc::clone(held), name: host::ITSELF.into(), stat });
        }
        let directory = self.source_directory(host_entry.source_directory)?;
        let stat = host::stat(&*directory, &host_entry.source_name).map_err(|errno| match errno {
            Errno::ENOENT => Error::Stale,
            errno => errno.into(),
        })?;
        if FileType::of(stat.st_mode) != host_entry.kind {
            return Err(Error::Stale);
        }
        Ok(Resolved { directory, name: host_entry.source_name.as_ref().into(), stat })
    }

    /// A descriptor of a directory of the host, from which the names in it are reached.
    pub(crate) fn directory(&self, id: NodeId) -> Result<Arc<OwnedFd>, Error> {
        if let Some(directory) = self.fds.directories.get(&id) {
            return Ok(directory);
        }
        // Open the directories above first, as far as they are closed. A loop, not recursion: builds nest deeply.
        let mut below = Vec::new();
        let mut at = id;
        let mut directory = loop {
            if let Some(directory) = self.fds.directories.get(&at) {
                break directory;
            }
            if Node::declared_index(at).is_some() {
                break self.host_entry_directory(at)?;
            }
            let node = self.nodes.get(at).ok_or(Error::Stale)?;
            let place = node.place().ok_or(Error::Stale)?;
            at = place.parent;
            below.push((node, place.name));
        };
        while let Some((node, name)) = below.pop() {
            let opened = match host::open_directory(&*directory, &name) {
                Err(Errno::EACCES) => self.open_through(&directory, &name)?,
                opened => opened.map_err(gone)?,
            };
            if !self.is(&node, &nix::sys::stat::fstat(&opened)?) {
                return Err(Error::Stale);
            }
            directory = self.fds.directories.insert(node.id, opened);
        }
        Ok(directory)
    }

    /// A descriptor of a host file. Files in scratches are opened once, for reading and writing. Where the host checks
    /// permissions, files are opened as the caller and only for what is needed.
    pub(crate) fn data(&self, node: &Node, write: bool, caller: Caller<'_>) -> Result<OpenHandle, Error> {
        if let Node::Host(node) = node
            && let Some(file) = node.orphan()
        {
            return Ok(OpenHandle::Orphan(file));
        }
        if let Some(file) = self.fds.files.get(&node.id())
            && file.serves(write, caller.uid)
        {
            return Ok(OpenHandle::Named(file));
        }
        let host_entry = self.host_entry(node).ok_or(Error::BadType)?;
        check_regular(self.kind(node))?;
        if let Some(file) = self.open_fixed(node, host_entry)? {
            return Ok(OpenHandle::Named(file));
        }
        let resolved = match node {
            Node::Declared(_) => self.resolve_host_entry(host_entry)?,
            Node::Host(node) => self.resolve(node)?,
        };
        let (opened, opener) = if self.impersonates(host_entry) {
            (self.open_as(node, host_entry, &resolved, write, caller)?, Some(caller.uid))
        } else {
            (self.open_as_itself(&resolved, host_entry.access == Access::Rw, write)?, None)
        };
        let (descriptor, access) = opened;
        let other = host::identity(&nix::sys::stat::fstat(&descriptor)?) != host::identity(&resolved.stat);
        if other && Defence::OpenedFiles.stands() {
            return Err(Error::Stale);
        }
        let file = OpenFile { descriptor, access, opener };
        Ok(OpenHandle::Named(self.fds.files.insert(node.id(), file)))
    }

    /// Opens a file as the caller. The owner may open it whatever its mode, since a descriptor outlives a change of mode, and
    /// who may execute it may read it: a local file system checks neither again after open(2).
    fn open_as(
        &self,
        node: &Node,
        host_entry: &HostEntry,
        resolved: &Resolved,
        write: bool,
        caller: Caller<'_>,
    ) -> Result<(OwnedFd, OpenMode), Error> {
        let ways: &[OpenMode] = if write { &[OpenMode::Both, OpenMode::Write] } else { &[OpenMode::Read] };
        {
            let _impersonation = self.impersonate(host_entry, caller)?;
            for way in ways {
                match host::open_data(&*resolved.directory, &resolved.name, *way) {
                    Ok(file) => return Ok((file, *way)),
                    Err(Errno::EACCES) => {}
                    Err(errno) => return Err(gone(errno)),
                }
            }
        }
        let runs = || self.allows(node, caller, AccessMask::Execute);
        if resolved.stat.st_uid == caller.uid || (!write && runs()?) {
            return self.open_despite_mode(resolved, ways[0]);
        }
        Err(Error::Access)
    }

    /// Opens a file as this process: for reading and writing where it is writable, so that it is opened once.
    fn open_as_itself(
        &self,
        resolved: &Resolved,
        both: bool,
        write: bool,
    ) -> Result<(OwnedFd, OpenMode), Error> {
        let ways: &[OpenMode] = match (both, write) {
            (false, _) => &[OpenMode::Read],
            // ETXTBSY, say: it can still be read.
            (true, false) => &[OpenMode::Both, OpenMode::Read],
            (true, true) => &[OpenMode::Both],
        };
        let mut failure = Errno::EACCES;
        for way in ways {
            match host::open_data(&*resolved.directory, &resolved.name, *way) {
                Ok(file) => return Ok((file, *way)),
                Err(errno) => failure = errno,
            }
        }
        if failure == Errno::EACCES { self.open_despite_mode(resolved, ways[0]) } else { Err(gone(failure)) }
    }

    /// Opens a file whose mode forbids it. Root simply may; the owner has another mode there for a moment.
    fn open_despite_mode(&self, resolved: &Resolved, way: OpenMode) -> Result<(OwnedFd, OpenMode), Error> {
        let opened = match host::open_data(&*resolved.directory, &resolved.name, way) {
            Err(Errno::EACCES) if resolved.stat.st_uid == self.identity.0 => {
                let file = host::open_itself(&*resolved.directory, &resolved.name)?;
                let _setting = self.setting_modes.lock();
                host::with_permissions(&file, 0o600, || host::open_data(&file, host::ITSELF, way))
            }
            opened => opened,
        };
        Ok((opened.map_err(gone)?, way))
    }

    /// Opens what a name leads to, only to tell what it is, in a directory whose mode forbids that. Root simply may.
    fn open_through(&self, directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Error> {
        if nix::sys::stat::fstat(directory)?.st_uid != self.identity.0 {
            return Err(Error::Access);
        }
        let _setting = self.setting_modes.lock();
        host::with_permissions(directory, 0o100, || host::open_itself(directory, name)).map_err(gone)
    }

    /// Opens a file of a fixed graft by the name it was found by, which cannot have changed.
    fn open_fixed(&self, node: &Node, host_entry: &HostEntry) -> Result<Option<Arc<OpenFile>>, Error> {
        let Node::Host(host) = node else { return Ok(None) };
        let Some(place) = host.place().filter(|_| host_entry.access == Access::Fixed) else {
            return Ok(None);
        };
        let directory = self.directory(place.parent)?;
        let descriptor = host::open_data(&*directory, &place.name, OpenMode::Read).map_err(gone)?;
        let file = OpenFile { descriptor, access: OpenMode::Read, opener: None };
        Ok(Some(self.fds.files.insert(node.id(), file)))
    }

    fn host_entry_directory(&self, id: NodeId) -> Result<Arc<OwnedFd>, Error> {
        let node = self.node(id)?;
        let host_entry = self.host_entry(&node).ok_or(Error::NotDirectory)?;
        if let Some(held) = &host_entry.held {
            return Ok(Arc::clone(held));
        }
        let holder = self.source_directory(host_entry.source_directory)?;
        let opened = host::open_directory(&*holder, &host_entry.source_name).map_err(gone)?;
        Ok(self.fds.directories.insert(id, opened))
    }

    fn source_directory(&self, index: usize) -> Result<Arc<OwnedFd>, Error> {
        let held = self.tree.held_source_directory(index);
        if let Some(directory) = held.or_else(|| self.fds.sources.get(&index)) {
            return Ok(directory);
        }
        let opened = self.tree.open_source_directory(index).map_err(gone)?;
        Ok(self.fds.sources.insert(index, opened))
    }
}

/// Only regular files have data.
pub(crate) fn check_regular(kind: FileType) -> Result<(), Error> {
    match kind {
        FileType::Regular => Ok(()),
        FileType::Directory => Err(Error::IsDirectory),
        _ => Err(Error::Invalid),
    }
}

/// A node whose name is gone or leads to a symlink now is stale.
pub(crate) fn gone(error: impl Into<Error>) -> Error {
    match error.into() {
        Error::NotFound | Error::NotDirectory => Error::Stale,
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn permissions_that_a_file_has_for_a_moment_are_taken_back_whatever_comes_of_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o004)).unwrap();
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        let file = host::open_itself(fs::File::open(place.path()).unwrap(), b"file").unwrap();
        for done in [Ok(7), Err(Errno::EIO)] {
            let given = host::with_permissions(&file, 0o600, || {
                assert_eq!(mode(), 0o604);
                done
            });
            assert_eq!((given, mode()), (done, 0o004));
        }
    }
}
