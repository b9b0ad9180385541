//! Lookups: names to nodes, paths to nodes, nodes to paths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::attributes::{Attributes, FileType};
use super::blocking::Blocking;
use super::caller::{AccessMask, Caller};
use super::error::Error;
use super::node::Node;
use super::observer::LookupOutcome;
use super::spec::NAME_MAX;
use super::tree::HostEntry;
use super::tree::NodeKind;
use super::{View, declared};
use crate::limits::{SYMLINKS_FOLLOWED_MAX, WHOLE_FILE_MAX};

/// What a path in a view leads to.
#[derive(Clone, Debug)]
pub struct Found {
    /// The path in the view without any symbolic link in it.
    pub path: PathBuf,
    /// Attributes of the node there.
    pub attributes: Attributes,
}

impl View {
    /// The root of the view.
    #[must_use]
    pub fn root(&self) -> Node {
        Node::Declared(0)
    }

    /// Looks up a name in a directory, `.` and `..` included; `..` of the root is the root.
    ///
    /// # Errors
    /// [`Error::NotFound`] for whatever the view does not hold.
    pub fn lookup(
        &self,
        directory: &Node,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        if self.kind(directory) != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        if let Err(error) = self.check(directory, caller, AccessMask::Execute) {
            self.observe(directory, name, Err(error));
            return Err(error);
        }
        let found = match name {
            b"." => self.with_attributes(directory.clone()),
            b".." => self.with_attributes(self.parent(directory)?),
            name => check_name(name)
                .and_then(|()| self.prefetch_names(directory))
                .and_then(|()| self.child(directory, name)),
        };
        self.observe(directory, name, found.as_ref().map(|(node, _)| node).map_err(|error| *error));
        if let Ok((node, _)) = &found {
            self.counters(node).looked_up();
        }
        found
    }

    /// The directory that holds a directory.
    pub(crate) fn parent(&self, directory: &Node) -> Result<Node, Error> {
        match directory {
            Node::Declared(index) => Ok(Node::Declared(declared(&self.tree, *index).parent)),
            Node::Host(node) => self.node(node.place().ok_or(Error::Stale)?.parent),
        }
    }

    /// The path of a node as the view's users name it; of a file with several names, the one used last.
    #[must_use]
    pub fn path(&self, node: &Node) -> PathBuf {
        let mut names = Vec::new();
        let mut at = node.clone();
        loop {
            let host = match &at {
                Node::Declared(index) => {
                    let below: PathBuf =
                        names.iter().rev().map(|name: &Vec<u8>| OsStr::from_bytes(name)).collect();
                    let path = self.tree.path(*index);
                    return if names.is_empty() { path } else { path.join(below) };
                }
                Node::Host(host) => host,
            };
            let Some(place) = host.place() else { return PathBuf::new() };
            names.push(place.name.to_vec());
            match self.node(place.parent) {
                Ok(parent) => at = parent,
                Err(_) => return PathBuf::new(),
            }
        }
    }

    /// What a path leads to for the superuser, symbolic links followed inside the view only.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the view has no such path, [`Error::Invalid`] after too many links.
    pub fn find(&self, path: &Path) -> Result<Found, Error> {
        let node = self.walk(path)?;
        Ok(Found { path: self.path(&node), attributes: self.attributes(&node)? })
    }

    /// The contents of a regular file in the view, symbolic links followed inside the view only.
    ///
    /// # Errors
    /// As [`View::find`], and [`Error::TooLarge`] beyond 256 MiB.
    pub fn read_file(&self, path: &Path) -> Result<Vec<u8>, Error> {
        let node = self.walk(path)?;
        let size = self.attributes(&node)?.size;
        if size > WHOLE_FILE_MAX {
            return Err(Error::TooLarge);
        }
        let mut contents = vec![0; usize::try_from(size).map_err(|_| Error::TooLarge)?];
        let read = self.read(&node, 0, &mut contents, Caller::ROOT, Blocking::Allowed)?;
        contents.truncate(read.count);
        Ok(contents)
    }

    /// Device and inode number of the directory or regular file of the host that an entry shows, as they were when the view was
    /// opened; nothing for other entries.
    #[must_use]
    pub fn host_identity(&self, at: &Path) -> Option<(u64, u64)> {
        let NodeKind::HostEntry(host_entry) = &self.tree.at(at)?.kind else { return None };
        let mountable = matches!(host_entry.kind, FileType::Directory | FileType::Regular);
        mountable.then_some((host_entry.device, host_entry.inode))
    }

    fn walk(&self, path: &Path) -> Result<Node, Error> {
        let mut at = self.root();
        let mut left: Vec<Box<[u8]>> = path.iter().rev().map(|name| name.as_bytes().into()).collect();
        let mut links = 0;
        while let Some(name) = left.pop() {
            if *name != *b"/" && self.kind(&at) != FileType::Directory {
                return Err(Error::NotDirectory);
            }
            let (next, attributes) = match &*name {
                b"/" => (self.root(), self.attributes(&self.root())?),
                b"." => continue,
                b".." => self.with_attributes(self.parent(&at)?)?,
                name => self.child(&at, name)?,
            };
            if attributes.kind != FileType::Symlink {
                at = next;
                continue;
            }
            links += 1;
            if links > SYMLINKS_FOLLOWED_MAX {
                return Err(Error::Invalid);
            }
            let target = self.read_link(&next)?;
            left.extend(
                Path::new(OsStr::from_bytes(&target)).iter().rev().map(|name| Box::from(name.as_bytes())),
            );
        }
        Ok(at)
    }

    fn observe(&self, directory: &Node, name: &[u8], found: Result<&Node, Error>) {
        let Some(observer) = &self.observer else { return };
        let host_entry = self.host_entry(directory);
        let in_graft = host_entry.is_some_and(|host_entry| !host_entry.scratch && !host_entry.is_phantom());
        let outcome = match found {
            // What a phantom leads to is not in the view.
            Ok(Node::Host(_)) if host_entry.is_some_and(HostEntry::is_phantom) => LookupOutcome::Hidden,
            Ok(_) => LookupOutcome::Found,
            Err(Error::NotFound) if in_graft => LookupOutcome::Absent,
            Err(Error::NotFound) => LookupOutcome::Hidden,
            Err(_) => LookupOutcome::Refused,
        };
        observer.observe(outcome, &|| self.path(directory).join(OsStr::from_bytes(name)));
    }
}

/// Refuses invalid names. `.` and `..` are valid.
pub(crate) fn check_name(name: &[u8]) -> Result<(), Error> {
    if name.len() > NAME_MAX {
        return Err(Error::NameTooLong);
    }
    if name.is_empty() || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(Error::Invalid);
    }
    Ok(())
}
