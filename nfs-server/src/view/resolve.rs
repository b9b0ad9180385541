//! From a node to the host: the directory and the name under which the host has it now, checked to be it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::attributes::FileType;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::fd_cache::{Open, OpenFile, OpenMode};
use super::host;
use super::node::{HostNode, Location, Node, NodeId};
use super::spec::Access;
use super::tree::{HostEntry, NodeKind};
use super::{View, declared};

/// Where the host has a node at this moment.
pub(crate) struct Resolved {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) name: Arc<[u8]>,
    pub(crate) stat: FileStat,
}

impl View {
    /// The branch of a node: the entry whose host files it belongs to. `None` for nodes that no host file backs.
    pub(crate) fn host_entry(&self, node: &Node) -> Option<&HostEntry> {
        match &declared(&self.tree, node.entry_index()).kind {
            NodeKind::HostEntry(host_entry) => Some(host_entry),
            _ => None,
        }
    }

    /// Finds a host node again, by whichever of its names still leads to it, the latest first.
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
        match host::stat(&*directory, &place.name) {
            Ok(stat) if self.is(node, &stat) => Ok(Some(Resolved { directory, name: place.name, stat })),
            Ok(_) | Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether this is the file that the node stands for.
    fn is(&self, node: &HostNode, stat: &FileStat) -> bool {
        host::identity(stat) == node.identity() && self.kind_of(stat) == node.kind
    }

    /// Finds what a branch shows.
    pub(crate) fn resolve_host_entry(&self, host_entry: &HostEntry) -> Result<Resolved, Error> {
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
        // Directories above that are not open either, the lowest first. A loop, because builds nest deeply.
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
            let opened = host::open_directory(&*directory, &name).map_err(gone)?;
            if !self.is(&node, &nix::sys::stat::fstat(&opened)?) {
                return Err(Error::Stale);
            }
            directory = self.fds.directories.insert(node.id, opened);
        }
        Ok(directory)
    }

    /// A descriptor of a file of the host. Files in scratches are opened for both, once; where the host's rules decide, one
    /// is opened as the caller, and for what is needed.
    pub(crate) fn data(&self, node: &Node, write: bool, caller: Caller<'_>) -> Result<Open, Error> {
        if let Node::Host(node) = node
            && let Some(file) = node.orphan()
        {
            return Ok(Open::Orphan(file));
        }
        if let Some(file) = self.fds.files.get(&node.id())
            && file.serves(write, caller.uid)
        {
            return Ok(Open::Named(file));
        }
        let host_entry = self.host_entry(node).ok_or(Error::BadType)?;
        check_regular(self.kind(node))?;
        if let Some(file) = self.open_fixed(node, host_entry)? {
            return Ok(Open::Named(file));
        }
        let resolved = match node {
            Node::Declared(_) => self.resolve_host_entry(host_entry)?,
            Node::Host(node) => self.resolve(node)?,
        };
        let (opened, opener) = if self.impersonates(host_entry) {
            (self.open_as(node, host_entry, &resolved, write, caller)?, Some(caller.uid))
        } else {
            (open_as_itself(&resolved, host_entry.access == Access::Rw, write)?, None)
        };
        let (descriptor, access) = opened;
        if host::identity(&nix::sys::stat::fstat(&descriptor)?) != host::identity(&resolved.stat) {
            return Err(Error::Stale);
        }
        let file = OpenFile { descriptor, access, opener };
        Ok(Open::Named(self.fds.files.insert(node.id(), file)))
    }

    /// Opens a file as the caller. Its owner may do so whatever the mode says, since a descriptor outlives a change of
    /// mode; so may whoever runs a file that he may not read. A local file system asks neither again.
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
            let file = host::open_data(&*resolved.directory, &resolved.name, ways[0]).map_err(gone)?;
            return Ok((file, ways[0]));
        }
        Err(Error::Access)
    }

    /// Opens a file that nobody changes, by the name under which it was found: it still has it.
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
        let holder = self.source_directory(host_entry.source_directory)?;
        let opened = host::open_directory(&*holder, &host_entry.source_name).map_err(gone)?;
        Ok(self.fds.directories.insert(id, opened))
    }

    fn source_directory(&self, index: usize) -> Result<Arc<OwnedFd>, Error> {
        if let Some(directory) = self.fds.sources.get(&index) {
            return Ok(directory);
        }
        let opened = self.tree.open_source_directory(index).map_err(gone)?;
        Ok(self.fds.sources.insert(index, opened))
    }
}

/// Opens a file as the server that this is: for both where it may be written, so that it is opened once.
fn open_as_itself(resolved: &Resolved, both: bool, write: bool) -> Result<(OwnedFd, OpenMode), Error> {
    let open = |access| {
        host::open_data(&*resolved.directory, &resolved.name, access).map(|file| (file, access)).map_err(gone)
    };
    if !both {
        return open(OpenMode::Read);
    }
    match open(OpenMode::Both) {
        // The host may refuse to open for writing what may well be read: a program that runs, say.
        Err(_) if !write => open(OpenMode::Read),
        opened => opened,
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

/// A node whose name has gone, or leads to a link now, is itself gone.
fn gone(errno: Errno) -> Error {
    match Error::from(errno) {
        Error::NotFound | Error::NotDirectory => Error::Stale,
        error => error,
    }
}
