//! New names: files, directories, symbolic links, pipes, sockets and further links.

use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use lru::LruCache;
use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::FileStat;
use nix::unistd::{Gid, Uid};
use parking_lot::Mutex;

use super::attr_cache::AttrCache;
use super::attributes::{Attributes, FileType};
use super::caller::Caller;
use super::error::Error;
use super::fd_cache::{OpenFile, OpenMode};
use super::host;
use super::impersonate::has_no_umask;
use super::node::{HostNode, Node, NodeId};
use super::resolve::Resolved;
use super::set::{SetAttributes, check_mode};
use super::spec::PATH_MAX;
use super::writable::{Writable, check_new_name};
use crate::limits::REPLY_CACHE_MAX;

/// Mode of a file made with [`CreateMode::Exclusive`] until its maker sets one.
const EXCLUSIVE_MODE: u32 = 0o600;

/// What to do when the name of a new file is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    /// Take the file that is there.
    Unchecked,
    /// Fail.
    Guarded,
    /// Fail, unless that file was made with this same verifier: the request was sent twice.
    Exclusive([u8; 8]),
}

/// Something new that is no regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNode<'a> {
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Symlink(&'a [u8]),
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
}

/// The verifiers of files that were made exclusively, for a request that comes twice.
pub(crate) struct ExclusiveCreates(Mutex<LruCache<NodeId, [u8; 8]>>);

impl Default for ExclusiveCreates {
    fn default() -> ExclusiveCreates {
        let capacity = NonZeroUsize::new(REPLY_CACHE_MAX).unwrap_or(NonZeroUsize::MIN);
        ExclusiveCreates(Mutex::new(LruCache::new(capacity)))
    }
}

impl ExclusiveCreates {
    fn set_node(&self, file: NodeId, verifier: [u8; 8]) {
        self.0.lock().put(file, verifier);
    }

    fn made(&self, file: NodeId, verifier: [u8; 8]) -> bool {
        self.0.lock().get(&file) == Some(&verifier)
    }
}

impl Writable<'_> {
    /// Makes a regular file in this directory, or opens the one that has the name.
    ///
    /// # Errors
    /// [`Error::Exists`] as `create` says; [`Error::NotPermitted`] for a mode with set-id bits.
    pub fn create(
        &self,
        name: &[u8],
        create: CreateMode,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        check_new_name(name)?;
        let mode = match create {
            CreateMode::Exclusive(_) => EXCLUSIVE_MODE,
            _ => set.mode.unwrap_or(0o666),
        };
        check_mode(mode)?;
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = match self.names(caller) {
            // Who may not make a file here may still open the one that is there.
            Err(Error::Access) if host::stat(&*self.view.directory(self.node.id())?, name).is_ok() => {
                return self.open_existing(name, create, set, caller);
            }
            directory => directory?,
        };
        self.view.nodes.check_room()?;
        let made = {
            let _impersonation = self.impersonate(caller)?;
            host::create(&*directory, name, mode)
        };
        let file = match made {
            Err(Errno::EEXIST) => return self.open_existing(name, create, set, caller),
            file => file?,
        };
        let stat = self.complete(&file, mode, set, caller)?;
        let (node, attributes) = self.admit(name, &stat)?;
        self.keep_open(&node, file, caller);
        if let CreateMode::Exclusive(verifier) = create {
            self.view.exclusive.set_node(node.id(), verifier);
        }
        self.set_rest(node, attributes, set, caller)
    }

    /// Makes anything but a regular file in this directory.
    ///
    /// # Errors
    /// [`Error::Exists`] when the name is taken.
    pub fn make(
        &self,
        name: &[u8],
        new: NewNode<'_>,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        check_new_name(name)?;
        let mode = set.mode.unwrap_or(if new == NewNode::Directory { 0o777 } else { 0o666 });
        check_mode(mode)?;
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = self.names(caller)?;
        self.view.nodes.check_room()?;
        {
            let _impersonation = self.impersonate(caller)?;
            self.make_on_host(&directory, name, new, mode)?;
        }
        if let Some((uid, gid)) = self.new_owner(caller) {
            let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
            nix::unistd::fchownat(&*directory, name, Some(uid), Some(gid), flags)?;
        }
        let mut stat = host::stat(&*directory, name)?;
        if !matches!(new, NewNode::Symlink(_)) && self.lacks_bits(&stat, mode) {
            host::set_mode(&*directory, name, mode)?;
            stat = host::stat(&*directory, name)?;
        }
        let (node, attributes) = self.admit(name, &stat)?;
        self.set_rest(node, attributes, set, caller)
    }

    /// Gives a file another name in this directory.
    ///
    /// # Errors
    /// [`Error::CrossDevice`] when the file lies in another part of the view, so that programs copy it instead.
    pub fn link(&self, file: &Node, name: &[u8], caller: Caller<'_>) -> Result<Attributes, Error> {
        check_new_name(name)?;
        let Node::Host(host_node) = file else { return Err(Error::CrossDevice) };
        if host_node.host_entry != self.host_entry {
            return Err(Error::CrossDevice);
        }
        if host_node.kind == FileType::Directory {
            return Err(Error::NotPermitted);
        }
        let _changing = self.view.changing_names.lock();
        if self.is_declared(name) {
            return Err(Error::Exists);
        }
        let directory = self.names(caller)?;
        let resolved = self.view.resolve(host_node)?;
        self.link_on_host(host_node, &resolved, &directory, name, caller)?;
        host_node.add_location(self.node.id(), name);
        self.view.dir_cache.add(self.node.id(), name, Some(host_node.id));
        self.view.invalidate(&self.node);
        self.view.invalidate(file);
        self.view.attributes(file)
    }

    fn open_existing(
        &self,
        name: &[u8],
        create: CreateMode,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        let (node, attributes) = self.view.child(&self.node, name)?;
        match create {
            CreateMode::Unchecked if attributes.kind == FileType::Regular => {}
            CreateMode::Exclusive(verifier) if self.view.exclusive.made(node.id(), verifier) => {
                return Ok((node, attributes));
            }
            _ => return Err(Error::Exists),
        }
        let Some(size) = set.size else { return Ok((node, attributes)) };
        let only_size = SetAttributes { size: Some(size), ..SetAttributes::default() };
        let attributes = self.view.writable(node.clone())?.set(&only_size, caller)?;
        Ok((node, attributes))
    }

    /// Gives a file just made its owner, length and mode, as far as it does not have them.
    fn complete(
        &self,
        file: &OwnedFd,
        mode: u32,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<FileStat, Error> {
        if let Some((uid, gid)) = self.new_owner(caller) {
            nix::unistd::fchown(file, Some(uid), Some(gid))?;
        }
        if set.size.is_some_and(|size| size > 0) {
            nix::unistd::ftruncate(file, set.size_for_host()?)?;
        }
        let made = nix::sys::stat::fstat(file)?;
        if !self.lacks_bits(&made, mode) {
            return Ok(made);
        }
        nix::sys::stat::fchmod(file, host::permission_bits(mode))?;
        Ok(nix::sys::stat::fstat(file)?)
    }

    /// Who has to be made the owner of what this process has made: the caller, unless it was made as the caller.
    fn new_owner(&self, caller: Caller<'_>) -> Option<(Uid, Gid)> {
        let is_own = (caller.uid, caller.gid) == self.view.identity;
        let gives = self.view.identity.0 == 0 && !self.host_checks_permissions() && !is_own;
        gives.then(|| (caller.uid.into(), caller.gid.into()))
    }

    /// Whether something just made lacks bits of the mode asked for, which this process's umask has taken.
    ///
    /// Where the host's rules decide, it is left as it is by a thread without a umask: what it lacks then, the directory's
    /// access control list has taken, and its name may lead to a file of somebody else by now.
    fn lacks_bits(&self, made: &FileStat, mode: u32) -> bool {
        #[allow(clippy::unnecessary_cast, reason = "mode_t has 16 bits on macOS")]
        let differs = made.st_mode as u32 & 0o7777 != mode & 0o1777;
        differs && !(self.host_checks_permissions() && has_no_umask())
    }

    /// Links what is located to a name. Where others could have swapped it meanwhile, exactly the file that is meant, and
    /// as the caller.
    fn link_on_host(
        &self,
        node: &HostNode,
        resolved: &Resolved,
        directory: &OwnedFd,
        name: &[u8],
        caller: Caller<'_>,
    ) -> Result<(), Error> {
        #[cfg(target_os = "linux")]
        if self.host_checks_permissions() {
            let file = host::open_itself(&*resolved.directory, &resolved.name)?;
            if host::identity(&nix::sys::stat::fstat(&file)?) != node.identity() {
                return Err(Error::Stale);
            }
            let _impersonation = self.impersonate(caller)?;
            return Ok(host::link_own(&file, directory, name)?);
        }
        let _ = (node, caller);
        Ok(nix::unistd::linkat(&*resolved.directory, &*resolved.name, directory, name, AtFlags::empty())?)
    }

    fn make_on_host(
        &self,
        directory: &Arc<OwnedFd>,
        name: &[u8],
        new: NewNode<'_>,
        mode: u32,
    ) -> Result<(), Error> {
        let bits = host::permission_bits(mode);
        match new {
            NewNode::Directory => nix::sys::stat::mkdirat(&**directory, name, bits)?,
            NewNode::Symlink(target) => {
                if target.is_empty() || target.contains(&0) {
                    return Err(Error::Invalid);
                }
                if target.len() > PATH_MAX {
                    return Err(Error::NameTooLong);
                }
                nix::unistd::symlinkat(target, &**directory, name)?;
            }
            NewNode::Fifo if self.view.capabilities.special_files => host::make_fifo(directory, name, bits)?,
            NewNode::Socket if self.view.capabilities.special_files => {
                host::make_socket(directory, name, bits)?;
            }
            // On the host that would be something else than was asked for, for good.
            NewNode::Fifo | NewNode::Socket if !self.host_entry()?.scratch => {
                return Err(Error::NotSupported);
            }
            NewNode::Fifo => drop(self.view.special_files.make(directory, name, FileType::Fifo, mode)?),
            NewNode::Socket => drop(self.view.special_files.make(directory, name, FileType::Socket, mode)?),
        }
        Ok(())
    }

    /// Gives something just made the owners and times asked for. Only root gives files away: what others ask for
    /// beyond their own groups is passed over, since clients ask for what is the rule on their own system.
    fn set_rest(
        &self,
        node: Node,
        attributes: Attributes,
        set: &SetAttributes,
        caller: Caller<'_>,
    ) -> Result<(Node, Attributes), Error> {
        let rest = SetAttributes {
            mode: None,
            size: None,
            uid: set.uid.filter(|_| caller.uid == 0),
            gid: set.gid.filter(|gid| caller.uid == 0 || caller.is_in(*gid)),
            ..*set
        };
        if rest == SetAttributes::default() {
            return Ok((node, attributes));
        }
        let attributes = self.view.writable(node.clone())?.set(&rest, caller)?;
        Ok((node, attributes))
    }

    fn keep_open(&self, node: &Node, descriptor: OwnedFd, caller: Caller<'_>) {
        let opener = self.host_checks_permissions().then_some(caller.uid);
        let file = OpenFile { descriptor, access: OpenMode::Both, opener };
        self.view.fds.files.insert(node.id(), file);
    }

    fn admit(&self, name: &[u8], stat: &FileStat) -> Result<(Node, Attributes), Error> {
        let parent = self.node.id();
        let attributes = self.view.host_attributes(stat);
        let node =
            self.view.nodes.intern(self.host_entry, parent, name, host::identity(stat), &attributes)?;
        // Who looked at a file while it went may have taken it down after that, and this one may have its number now.
        if node.with_attr_cache(|cache| cache.current()) != Some(attributes) {
            node.with_attr_cache(AttrCache::invalidate);
        }
        self.view.dir_cache.add(parent, name, Some(node.id));
        if attributes.kind == FileType::Directory && self.view.is_exclusive(&self.node) {
            self.view.dir_cache.begin(node.id);
        }
        self.view.invalidate(&self.node);
        Ok((Node::Host(node), attributes))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::View;
    use super::super::spec::{Entry, Owner, ViewSpec};
    use super::*;

    #[test]
    fn a_new_file_is_not_taken_for_one_that_went_and_had_its_number() {
        let host = tempfile::tempdir().unwrap();
        let owner = Owner { uid: nix::unistd::geteuid().as_raw(), gid: nix::unistd::getegid().as_raw() };
        let at = "/build".into();
        let scratch = Entry::Scratch { at, source: host.path().into(), mode: 0o755, owner };
        let view = View::open(&ViewSpec { entries: vec![scratch] }, None).unwrap();
        let root = Caller { uid: 0, gid: 0, groups: &[] };
        let (build, _) = view.lookup(&view.root(), b"build", root).unwrap();
        let build = view.writable(build).unwrap();
        fs::write(host.path().join("new"), "contents").unwrap();
        let directory = view.directory(build.node().id()).unwrap();
        let stat = host::stat(&*directory, b"new").unwrap();
        let gone = Attributes { size: 99, ..view.host_attributes(&stat) };
        let parent = build.node().id();
        let late =
            view.nodes.intern(build.host_entry, parent, &b"old"[..], host::identity(&stat), &gone).unwrap();
        let (node, _) = build.admit(b"new", &stat).unwrap();
        assert_eq!(node.id(), late.id);
        assert_eq!(view.attributes(&node).unwrap().size, "contents".len() as u64);
    }
}
