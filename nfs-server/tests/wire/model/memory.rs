//! What POSIX says, in a few lines: names lead to nodes, and files may have several.

use std::collections::BTreeMap;

use nfs3_types::nfs3::nfsstat3;

use super::{Attributes, Given, Place, Step};

/// The top, which is node 0, and all that there has ever been.
pub struct Memory {
    nodes: Vec<Node>,
}

enum Node {
    File { bytes: Vec<u8>, links: u32, mode: u32 },
    Directory { names: BTreeMap<&'static str, usize>, mode: u32 },
    Symlink { target: &'static str, links: u32 },
}

/// A name in a directory.
#[derive(Clone, Copy)]
struct At {
    directory: usize,
    name: &'static str,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { nodes: vec![Node::Directory { names: BTreeMap::new(), mode: 0o755 }] }
    }
}

impl Memory {
    fn names(&self, directory: usize) -> Result<&BTreeMap<&'static str, usize>, nfsstat3> {
        match &self.nodes[directory] {
            Node::Directory { names, .. } => Ok(names),
            _ => Err(nfsstat3::NFS3ERR_NOTDIR),
        }
    }

    fn names_mut(&mut self, directory: usize) -> &mut BTreeMap<&'static str, usize> {
        match &mut self.nodes[directory] {
            Node::Directory { names, .. } => names,
            _ => panic!("it was a directory"),
        }
    }

    /// The directory of a path, and the name there, which may be new.
    fn at(&self, path: &[&'static str]) -> Result<At, nfsstat3> {
        let (name, above) = path.split_last().expect("a path has names");
        let mut directory = 0;
        for name in above {
            directory = *self.names(directory)?.get(name).ok_or(nfsstat3::NFS3ERR_NOENT)?;
        }
        self.names(directory)?;
        Ok(At { directory, name })
    }

    fn found(&self, at: At) -> Option<usize> {
        self.names(at.directory).ok()?.get(at.name).copied()
    }

    fn find(&self, path: &[&'static str]) -> Result<usize, nfsstat3> {
        self.found(self.at(path)?).ok_or(nfsstat3::NFS3ERR_NOENT)
    }

    fn make(&mut self, path: &[&'static str], node: Node) -> Result<Given, nfsstat3> {
        let at = self.at(path)?;
        if self.found(at).is_some() {
            return Err(nfsstat3::NFS3ERR_EXIST);
        }
        self.nodes.push(node);
        let new = self.nodes.len() - 1;
        self.names_mut(at.directory).insert(at.name, new);
        Ok(Given::Nothing)
    }

    fn bytes(&mut self, path: &[&'static str]) -> Result<&mut Vec<u8>, nfsstat3> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::File { bytes, .. } => Ok(bytes),
            Node::Directory { .. } => Err(nfsstat3::NFS3ERR_ISDIR),
            Node::Symlink { .. } => Err(nfsstat3::NFS3ERR_INVAL),
        }
    }

    fn is_directory(&self, node: usize) -> bool {
        self.names(node).is_ok()
    }

    fn is_empty(&self, node: usize) -> bool {
        self.names(node).is_ok_and(BTreeMap::is_empty)
    }

    fn unlink(&mut self, at: At) {
        let node = self.names_mut(at.directory).remove(at.name);
        if let Some(node) = node
            && let Node::File { links, .. } | Node::Symlink { links, .. } = &mut self.nodes[node]
        {
            *links -= 1;
        }
    }

    fn remove(&mut self, path: &[&'static str], directory: bool) -> Result<Given, nfsstat3> {
        let (at, node) = (self.at(path)?, self.find(path)?);
        match (directory, self.is_directory(node)) {
            (false, true) => return Err(nfsstat3::NFS3ERR_ISDIR),
            (true, false) => return Err(nfsstat3::NFS3ERR_NOTDIR),
            (true, true) if !self.is_empty(node) => return Err(nfsstat3::NFS3ERR_NOTEMPTY),
            _ => {}
        }
        self.unlink(at);
        Ok(Given::Nothing)
    }

    fn link(&mut self, from: &[&'static str], to: &[&'static str]) -> Result<Given, nfsstat3> {
        let node = self.find(from)?;
        let to = self.at(to)?;
        if self.found(to).is_some() {
            return Err(nfsstat3::NFS3ERR_EXIST);
        }
        match &mut self.nodes[node] {
            Node::File { links, .. } | Node::Symlink { links, .. } => *links += 1,
            Node::Directory { .. } => return Err(nfsstat3::NFS3ERR_PERM),
        }
        self.names_mut(to.directory).insert(to.name, node);
        Ok(Given::Nothing)
    }

    fn rename(&mut self, from: &[&'static str], to: &[&'static str]) -> Result<Given, nfsstat3> {
        let (old, new) = (self.at(from)?, self.at(to)?);
        let node = self.found(old).ok_or(nfsstat3::NFS3ERR_NOENT)?;
        // A directory does not go below itself, nor in the place of one that it is below.
        if to.len() > from.len() && to.starts_with(from) {
            return Err(nfsstat3::NFS3ERR_INVAL);
        }
        if from.len() > to.len() && from.starts_with(to) {
            return Err(nfsstat3::NFS3ERR_NOTEMPTY);
        }
        if let Some(replaced) = self.found(new) {
            if replaced == node {
                return Ok(Given::Nothing);
            }
            match (self.is_directory(node), self.is_directory(replaced)) {
                (true, false) => return Err(nfsstat3::NFS3ERR_NOTDIR),
                (false, true) => return Err(nfsstat3::NFS3ERR_ISDIR),
                (true, true) if !self.is_empty(replaced) => return Err(nfsstat3::NFS3ERR_NOTEMPTY),
                _ => self.unlink(new),
            }
        }
        self.names_mut(old.directory).remove(old.name);
        self.names_mut(new.directory).insert(new.name, node);
        Ok(Given::Nothing)
    }

    fn look(&self, path: &[&'static str]) -> Result<Given, nfsstat3> {
        Ok(Given::Attributes(match &self.nodes[self.find(path)?] {
            Node::File { bytes, links, mode } => {
                Attributes::File { size: bytes.len() as u64, links: *links, mode: *mode }
            }
            Node::Directory { mode, .. } => Attributes::Directory { mode: *mode },
            Node::Symlink { target, links } => {
                Attributes::Symlink { size: target.len() as u64, links: *links }
            }
        }))
    }
}

impl Place for Memory {
    fn take(&mut self, step: &Step) -> Result<Given, nfsstat3> {
        match step {
            Step::Create(path) => self.make(path, Node::File { bytes: Vec::new(), links: 1, mode: 0o644 }),
            Step::MakeDirectory(path) => {
                self.make(path, Node::Directory { names: BTreeMap::new(), mode: 0o755 })
            }
            Step::MakeSymlink(path, target) => self.make(path, Node::Symlink { target, links: 1 }),
            Step::Remove(path) => self.remove(path, false),
            Step::RemoveDirectory(path) => self.remove(path, true),
            Step::Link(from, to) => self.link(from, to),
            Step::Rename(from, to) => self.rename(from, to),
            Step::Write(path, offset, data) => {
                let (bytes, offset) = (self.bytes(path)?, usize::from(*offset));
                bytes.resize(bytes.len().max(offset + data.len()), 0);
                bytes[offset..offset + data.len()].copy_from_slice(data);
                Ok(Given::Nothing)
            }
            Step::Truncate(path, size) => {
                self.bytes(path)?.resize(usize::from(*size), 0);
                Ok(Given::Nothing)
            }
            Step::Mode(path, new) => {
                let node = self.find(path)?;
                if let Node::File { mode, .. } | Node::Directory { mode, .. } = &mut self.nodes[node] {
                    *mode = u32::from(*new);
                }
                Ok(Given::Nothing)
            }
            Step::Read(path, offset, count) => {
                let bytes = self.bytes(path)?;
                let from = usize::from(*offset).min(bytes.len());
                let to = (from + usize::from(*count)).min(bytes.len());
                Ok(Given::Bytes(bytes[from..to].to_vec()))
            }
            Step::ReadLink(path) => match &self.nodes[self.find(path)?] {
                Node::Symlink { target, .. } => Ok(Given::Target((*target).into())),
                _ => Err(nfsstat3::NFS3ERR_INVAL),
            },
            Step::List(path) => {
                let names = self.names(self.find(path)?)?;
                Ok(Given::Names(names.keys().map(ToString::to_string).collect()))
            }
            Step::Look(path) => self.look(path),
        }
    }
}
