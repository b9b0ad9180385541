//! From a node to the host: the directory and the name under which the host has it now, checked to be it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use super::attributes::Kind;
use super::caller::{Caller, Want};
use super::descriptors::{DataAccess, Open, OpenFile};
use super::error::Error;
use super::host;
use super::node::{HostNode, Node, NodeId, Place};
use super::spec::Access;
use super::tree::{Branch, Shape};
use super::{View, declared};

/// Where the host has a node at this moment.
pub(crate) struct Located {
    pub(crate) directory: Arc<OwnedFd>,
    pub(crate) name: Arc<[u8]>,
    pub(crate) stat: FileStat,
}

impl View {
    /// The branch of a node: the entry whose host files it belongs to. `None` for nodes that no host file backs.
    pub(crate) fn branch(&self, node: &Node) -> Option<&Branch> {
        match &declared(&self.tree, node.part()).shape {
            Shape::Branch(branch) => Some(branch),
            _ => None,
        }
    }

    /// Finds a host node again, by whichever of its names still leads to it, the latest first.
    pub(crate) fn locate(&self, node: &HostNode) -> Result<Located, Error> {
        if let Some(latest) = node.place()
            && let Some(located) = self.locate_at(node, latest)?
        {
            return Ok(located);
        }
        for place in node.places().into_iter().rev().skip(1) {
            if let Some(located) = self.locate_at(node, place)? {
                return Ok(located);
            }
        }
        Err(Error::Stale)
    }

    fn locate_at(&self, node: &HostNode, place: Place) -> Result<Option<Located>, Error> {
        let directory = match self.directory(place.parent) {
            Ok(directory) => directory,
            Err(Error::Stale) => return Ok(None),
            Err(error) => return Err(error),
        };
        match host::stat(&*directory, &place.name) {
            Ok(stat) if self.is(node, &stat) => Ok(Some(Located { directory, name: place.name, stat })),
            Ok(_) | Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Whether this is the file that the node stands for.
    fn is(&self, node: &HostNode, stat: &FileStat) -> bool {
        host::identity(stat) == node.identity() && self.kind_of(stat) == node.kind
    }

    /// Finds what a branch shows.
    pub(crate) fn locate_branch(&self, branch: &Branch) -> Result<Located, Error> {
        let directory = self.source_directory(branch.source_directory)?;
        let stat = host::stat(&*directory, &branch.source_name).map_err(|errno| match errno {
            Errno::ENOENT => Error::Stale,
            errno => errno.into(),
        })?;
        if Kind::of(stat.st_mode) != branch.kind {
            return Err(Error::Stale);
        }
        Ok(Located { directory, name: branch.source_name.as_ref().into(), stat })
    }

    /// A descriptor of a directory of the host, from which the names in it are reached.
    pub(crate) fn directory(&self, id: NodeId) -> Result<Arc<OwnedFd>, Error> {
        if let Some(directory) = self.descriptors.directories.get(&id) {
            return Ok(directory);
        }
        // Directories above that are not open either, the lowest first. A loop, because builds nest deeply.
        let mut below = Vec::new();
        let mut at = id;
        let mut directory = loop {
            if let Some(directory) = self.descriptors.directories.get(&at) {
                break directory;
            }
            if Node::declared_index(at).is_some() {
                break self.branch_directory(at)?;
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
            directory = self.descriptors.directories.insert(node.id, opened);
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
        if let Some(file) = self.descriptors.files.get(&node.id())
            && file.serves(write, caller.uid)
        {
            return Ok(Open::Named(file));
        }
        let branch = self.branch(node).ok_or(Error::BadType)?;
        check_regular(self.kind(node))?;
        if let Some(file) = self.open_fixed(node, branch)? {
            return Ok(Open::Named(file));
        }
        let located = match node {
            Node::Declared(_) => self.locate_branch(branch)?,
            Node::Host(node) => self.locate(node)?,
        };
        let (opened, opener) = if self.acts_as_callers(branch) {
            (self.open_as(node, branch, &located, write, caller)?, Some(caller.uid))
        } else {
            (open_as_itself(&located, branch.access == Access::Rw, write)?, None)
        };
        let (descriptor, access) = opened;
        if host::identity(&nix::sys::stat::fstat(&descriptor)?) != host::identity(&located.stat) {
            return Err(Error::Stale);
        }
        let file = OpenFile { descriptor, access, opener };
        Ok(Open::Named(self.descriptors.files.insert(node.id(), file)))
    }

    /// Opens a file as the caller. Its owner may do so whatever the mode says, since a descriptor outlives a change of
    /// mode; so may whoever runs a file that he may not read. A local file system asks neither again.
    fn open_as(
        &self,
        node: &Node,
        branch: &Branch,
        located: &Located,
        write: bool,
        caller: Caller<'_>,
    ) -> Result<(OwnedFd, DataAccess), Error> {
        let ways: &[DataAccess] =
            if write { &[DataAccess::Both, DataAccess::Write] } else { &[DataAccess::Read] };
        {
            let _acting = self.act_as(branch, caller)?;
            for way in ways {
                match host::open_data(&*located.directory, &located.name, *way) {
                    Ok(file) => return Ok((file, *way)),
                    Err(Errno::EACCES) => {}
                    Err(errno) => return Err(gone(errno)),
                }
            }
        }
        let runs = || self.allows(node, caller, Want::Execute);
        if located.stat.st_uid == caller.uid || (!write && runs()?) {
            let file = host::open_data(&*located.directory, &located.name, ways[0]).map_err(gone)?;
            return Ok((file, ways[0]));
        }
        Err(Error::Access)
    }

    /// Opens a file that nobody changes, by the name under which it was found: it still has it.
    fn open_fixed(&self, node: &Node, branch: &Branch) -> Result<Option<Arc<OpenFile>>, Error> {
        let Node::Host(host) = node else { return Ok(None) };
        let Some(place) = host.place().filter(|_| branch.access == Access::Fixed) else { return Ok(None) };
        let directory = self.directory(place.parent)?;
        let descriptor = host::open_data(&*directory, &place.name, DataAccess::Read).map_err(gone)?;
        let file = OpenFile { descriptor, access: DataAccess::Read, opener: None };
        Ok(Some(self.descriptors.files.insert(node.id(), file)))
    }

    fn branch_directory(&self, id: NodeId) -> Result<Arc<OwnedFd>, Error> {
        let node = self.node(id)?;
        let branch = self.branch(&node).ok_or(Error::NotDirectory)?;
        let holder = self.source_directory(branch.source_directory)?;
        let opened = host::open_directory(&*holder, &branch.source_name).map_err(gone)?;
        Ok(self.descriptors.directories.insert(id, opened))
    }

    fn source_directory(&self, index: usize) -> Result<Arc<OwnedFd>, Error> {
        if let Some(directory) = self.descriptors.sources.get(&index) {
            return Ok(directory);
        }
        let opened = self.tree.open_source_directory(index).map_err(gone)?;
        Ok(self.descriptors.sources.insert(index, opened))
    }
}

/// Opens a file as the server that this is: for both where it may be written, so that it is opened once.
fn open_as_itself(located: &Located, both: bool, write: bool) -> Result<(OwnedFd, DataAccess), Error> {
    let open = |access| {
        host::open_data(&*located.directory, &located.name, access).map(|file| (file, access)).map_err(gone)
    };
    if !both {
        return open(DataAccess::Read);
    }
    match open(DataAccess::Both) {
        // The host may refuse to open for writing what may well be read: a program that runs, say.
        Err(_) if !write => open(DataAccess::Read),
        opened => opened,
    }
}

/// Only regular files have data.
pub(crate) fn check_regular(kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::Regular => Ok(()),
        Kind::Directory => Err(Error::IsDirectory),
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
