//! The contents of directories.

use std::sync::Arc;

use super::attributes::{Attributes, Kind};
use super::caller::{Caller, Want};
use super::error::Error;
use super::listing::{FIRST_COOKIE, Known};
use super::node::Node;
use super::patience::Patience;
use super::{View, declared};

/// Names taken from a listing at a time.
const BATCH: usize = 128;

/// Cookie of `.`.
const SELF_COOKIE: u64 = 1;
/// Cookie of `..`.
const PARENT_COOKIE: u64 = 2;
/// Cookies of declared names start here.
const DECLARED_COOKIE: u64 = 3;

/// One name in a directory.
pub struct Listed<'a> {
    /// Where a listing goes on behind this name; never 0.
    pub cookie: u64,
    /// The name.
    pub name: &'a [u8],
    /// What it leads to.
    pub node: Node,
    /// What is known of that.
    pub attributes: Attributes,
}

impl View {
    /// Lists a directory from behind a cookie, 0 for all of it, until `take` returns false. Returns whether that
    /// was the end.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]; [`Error::Access`] when the caller may not list it; [`Error::Busy`] as `patience` says.
    pub fn list(
        &self,
        directory: &Node,
        cookie: u64,
        caller: Caller<'_>,
        patience: Patience,
        take: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<bool, Error> {
        if self.kind(directory) != Kind::Directory {
            return Err(Error::NotDirectory);
        }
        self.check(directory, caller, Want::Read)?;
        let taken = self.list_dots(directory, cookie, take)?
            && self.list_declared(directory, cookie, take)?
            && self.list_host(directory, cookie, patience, take)?;
        Ok(taken)
    }

    fn list_dots(
        &self,
        directory: &Node,
        cookie: u64,
        take: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<bool, Error> {
        for (own, name) in [(SELF_COOKIE, &b"."[..]), (PARENT_COOKIE, b"..")] {
            if cookie >= own {
                continue;
            }
            let node = if own == SELF_COOKIE { directory.clone() } else { self.parent(directory)? };
            let attributes = self.attributes(&node)?;
            if !take(&Listed { cookie: own, name, node, attributes }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn list_declared(
        &self,
        directory: &Node,
        cookie: u64,
        take: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<bool, Error> {
        let Node::Declared(index) = directory else { return Ok(true) };
        for (own, (name, child)) in (DECLARED_COOKIE..).zip(declared(&self.tree, *index).children()) {
            if cookie >= own {
                continue;
            }
            let node = Node::Declared(*child);
            // A source that the host lost since the view was opened is not there any more.
            let Ok(attributes) = self.attributes(&node) else { continue };
            if !take(&Listed { cookie: own, name, node, attributes }) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn list_host(
        &self,
        directory: &Node,
        mut cookie: u64,
        patience: Patience,
        take: &mut dyn FnMut(&Listed<'_>) -> bool,
    ) -> Result<bool, Error> {
        if self.branch(directory).is_none() {
            return Ok(true);
        }
        let is_declared = |name: &[u8]| match directory {
            Node::Declared(index) => declared(&self.tree, *index).child(name).is_some(),
            Node::Host(_) => false,
        };
        let exclusive = self.is_exclusive(directory);
        let listing = self.listing(directory);
        self.read_names(directory, &listing, cookie < FIRST_COOKIE, patience)?;
        loop {
            #[cfg_attr(
                not(target_os = "linux"),
                allow(unused_mut, reason = "others ask for one name at a time")
            )]
            let (mut batch, changes) = {
                let listing = listing.lock();
                (listing.behind(cookie, BATCH), listing.changes())
            };
            #[cfg(target_os = "linux")]
            self.ask_ahead(directory, &mut batch);
            let Some((last, _)) = batch.last() else { return Ok(true) };
            cookie = *last;
            for (own, Known { name, node }) in &batch {
                if is_declared(name) {
                    continue;
                }
                let recalled = node.filter(|_| exclusive).and_then(|id| self.recall(id));
                let (node, attributes) =
                    match recalled.map_or_else(|| self.ask(directory, Arc::clone(name)), Ok) {
                        Ok(found) => found,
                        Err(Error::NotFound) => continue,
                        Err(error) => return Err(error),
                    };
                if exclusive {
                    listing.lock().remember_at(*own, node.id(), changes);
                }
                if let Node::Host(file) = &node
                    && self.silly.is_deleted(directory.id(), name, file.identity())
                {
                    continue;
                }
                if !take(&Listed { cookie: *own, name, node, attributes }) {
                    return Ok(false);
                }
            }
        }
    }
}
