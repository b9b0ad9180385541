//! Lists directories.

use std::sync::Arc;

use super::attributes::{Attributes, FileType};
use super::blocking::Blocking;
use super::caller::{AccessMask, Caller};
use super::dir_index::{FIRST_COOKIE, IndexedName};
use super::error::Error;
use super::node::Node;
use super::tree::HostEntry;
use super::{View, declared};

/// Names taken from an index at a time.
const BATCH: usize = 128;

/// Cookie of `.`.
const DOT_COOKIE: u64 = 1;
/// Cookie of `..`.
const DOTDOT_COOKIE: u64 = 2;
/// Cookies of declared names start here.
const DECLARED_COOKIE: u64 = 3;

/// One name in a directory.
pub struct DirEntry<'a> {
    /// Where a readdir continues after this entry; never 0.
    pub cookie: u64,
    /// The name.
    pub name: &'a [u8],
    /// The node.
    pub node: Node,
    /// Its attributes.
    pub attributes: Attributes,
}

impl View {
    /// Lists a directory after a cookie, 0 for all of it, until `take` returns false. True at the end of the directory.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]; [`Error::Access`] when the caller may not list it; [`Error::WouldBlock`] as `blocking` says.
    pub fn readdir(
        &self,
        directory: &Node,
        cookie: u64,
        caller: Caller<'_>,
        blocking: Blocking,
        take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<bool, Error> {
        if self.kind(directory) != FileType::Directory {
            return Err(Error::NotDirectory);
        }
        self.check(directory, caller, AccessMask::Read)?;
        self.counters(directory).listed();
        let taken = self.readdir_dots(directory, cookie, take)?
            && self.readdir_declared(directory, cookie, take)?
            && self.readdir_host(directory, cookie, blocking, take)?;
        Ok(taken)
    }

    fn readdir_dots(
        &self,
        directory: &Node,
        cookie: u64,
        take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<bool, Error> {
        for (own, name) in [(DOT_COOKIE, &b"."[..]), (DOTDOT_COOKIE, b"..")] {
            if cookie >= own {
                continue;
            }
            let node = if own == DOT_COOKIE { directory.clone() } else { self.parent(directory)? };
            let attributes = self.attributes(&node)?;
            if !take(&DirEntry { cookie: own, name, node, attributes }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn readdir_declared(
        &self,
        directory: &Node,
        cookie: u64,
        take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<bool, Error> {
        let Node::Declared(index) = directory else { return Ok(true) };
        for (own, (name, child)) in (DECLARED_COOKIE..).zip(declared(&self.tree, *index).children()) {
            if cookie >= own {
                continue;
            }
            let node = Node::Declared(*child);
            // The source may have been removed from the host.
            let Ok(attributes) = self.attributes(&node) else { continue };
            if !take(&DirEntry { cookie: own, name, node, attributes }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn readdir_host(
        &self,
        directory: &Node,
        mut cookie: u64,
        blocking: Blocking,
        take: &mut dyn FnMut(&DirEntry<'_>) -> bool,
    ) -> Result<bool, Error> {
        if self.host_entry(directory).is_none_or(HostEntry::is_phantom) {
            return Ok(true);
        }
        let is_declared = |name: &[u8]| match directory {
            Node::Declared(index) => declared(&self.tree, *index).child(name).is_some(),
            Node::Host(_) => false,
        };
        let exclusive = self.is_exclusive(directory);
        let index = self.dir_index(directory);
        self.load_names(directory, &index, cookie < FIRST_COOKIE, blocking)?;
        loop {
            #[cfg_attr(not(target_os = "linux"), allow(unused_mut, reason = "only Linux stats in batches"))]
            let (mut batch, changes) = {
                let index = index.lock();
                (index.after(cookie, BATCH), index.changes())
            };
            #[cfg(target_os = "linux")]
            self.prefetch_attributes(directory, &mut batch);
            let Some((last, _)) = batch.last() else { return Ok(true) };
            cookie = *last;
            for (own, IndexedName { name, node }) in &batch {
                if is_declared(name) {
                    continue;
                }
                let cached = node.filter(|_| exclusive).and_then(|id| self.cached_node(id));
                let (node, attributes) =
                    match cached.map_or_else(|| self.stat_child(directory, Arc::clone(name)), Ok) {
                        Ok(found) => found,
                        Err(Error::NotFound) => continue,
                        Err(error) => return Err(error),
                    };
                if exclusive {
                    index.lock().set_node_at(*own, node.id(), changes);
                }
                if let Node::Host(file) = &node
                    && self.deleted.contains(directory.id(), name, file.identity())
                {
                    continue;
                }
                if !take(&DirEntry { cookie: *own, name, node, attributes }) {
                    return Ok(false);
                }
            }
        }
    }
}
