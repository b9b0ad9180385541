//! The model as the view is: taken from the host, whose files get their handles over the wire, and compared with both.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nfs3_types::nfs3::{
    GETATTR3args, LOOKUP3args, Nfs3Option, READDIR3args, SETATTR3args, cookieverf3, diropargs3, nfsstat3,
    sattr3, sattrguard3,
};

use super::super::call::{Call, Handle, USERS, handle};
use super::super::connection::Connection;
use super::super::grammar::Pool;
use super::super::reply::{Body, Outcome, Reply};
use super::{Contents, Model, Node, Part, ROOT};
use crate::fuzz::world::World;
use crate::random::Random;

/// Files beyond this size are cut: calls have made them larger than memory.
const SIZE_MAX: u64 = 1 << 20;
/// How often a handle of the scratch is in the pool.
const SCRATCH_TIMES: usize = 4;
/// The smallest replies in which a directory is listed, and how much larger they may be, in bytes.
const LISTING_MIN: usize = 512;
const LISTING_MORE: usize = 4096;

impl Model {
    /// What there is now.
    pub fn take(world: &World, connection: &mut Connection) -> Result<Model> {
        let Reply::Other(Some(root)) = connection.ask(&Call::Mount(world.export().into()), &USERS[0])? else {
            bail!("the export cannot be mounted");
        };
        let mut model = Model { nodes: Vec::new(), handles: HashMap::new() };
        let names = BTreeMap::new();
        model.add(Contents::Directory { names, parent: ROOT }, None, Part::Declared, &root)?;
        let mut links = HashMap::new();
        let parts = [(&b"graft"[..], Part::Graft), (b"scratch", Part::Scratch)];
        for (name, part) in parts {
            let host = world.scratch().with_file_name(std::ffi::OsStr::from_bytes(name));
            model.enter(connection, ROOT, name, &host, part, &mut links)?;
        }
        for name in [&b"etc"[..], b"dev", b"link"] {
            let found = lookup(connection, &root, name)?;
            let contents = match name {
                b"link" => Contents::Symlink(b"/graft/file".to_vec()),
                b"etc" => directory(&[(b"passwd", ROOT)]),
                _ => directory(&[(b"null", ROOT)]),
            };
            let node = model.add(contents, None, Part::Declared, &found)?;
            if name == b"link" {
                model.nodes[node].mode = 0o777;
            }
            model.names_mut(ROOT).insert(name.to_vec(), node);
            if let b"etc" | b"dev" = name {
                model.declare(connection, node, &found)?;
            }
        }
        Ok(model)
    }

    /// The one entry of `/etc` or `/dev`.
    fn declare(&mut self, connection: &mut Connection, parent: usize, above: &Handle) -> Result<()> {
        let Contents::Directory { names, parent: at } = &mut self.nodes[parent].contents else {
            bail!("a directory")
        };
        *at = ROOT;
        let name = names.keys().next().cloned().context("it has a name")?;
        let found = lookup(connection, above, &name)?;
        let contents =
            if name == b"null" { Contents::Device } else { Contents::File(b"root:x:0:0\n".to_vec()) };
        let node = self.add(contents, None, Part::Declared, &found)?;
        self.nodes[node].mode = if name == b"null" { 0o666 } else { 0o444 };
        self.names_mut(parent).insert(name, node);
        Ok(())
    }

    fn add(
        &mut self,
        contents: Contents,
        meta: Option<&Metadata>,
        part: Part,
        found: &Handle,
    ) -> Result<usize> {
        let (mode, uid, gid) =
            meta.map_or((0o755, 0, 0), |meta| (meta.mode() & 0o7777, meta.uid(), meta.gid()));
        let number = meta.filter(|_| part == Part::Scratch).map(MetadataExt::ino);
        self.nodes.push(Node {
            contents,
            mode,
            uid,
            gid,
            links: 1,
            part,
            handle: None,
            verifier: None,
            number,
        });
        let node = self.nodes.len() - 1;
        self.learn(found, node).map_err(anyhow::Error::msg)?;
        Ok(node)
    }

    /// A name of the host and all that is below it.
    fn enter(
        &mut self,
        connection: &mut Connection,
        parent: usize,
        name: &[u8],
        host: &Path,
        part: Part,
        links: &mut HashMap<u64, usize>,
    ) -> Result<()> {
        let above = self.nodes[parent].handle.clone().context("a directory has a handle")?;
        let found = lookup(connection, &above, name)
            .with_context(|| format!("the view does not have {}", host.display()))?;
        let meta = host.symlink_metadata().with_context(|| format!("{} is gone", host.display()))?;
        if let Some(node) = links.get(&meta.ino()).copied() {
            self.nodes[node].links += 1;
            self.names_mut(parent).insert(name.to_vec(), node);
            return self.learn(&found, node).map_err(anyhow::Error::msg);
        }
        if meta.is_file() && meta.len() > SIZE_MAX {
            cut(connection, &found)?;
        }
        let node = self.add(contents(host, &meta, parent)?, Some(&meta), part, &found)?;
        self.names_mut(parent).insert(name.to_vec(), node);
        if !meta.is_dir() {
            links.insert(meta.ino(), node);
            return Ok(());
        }
        for below in below(host)? {
            let name = below.file_name().context("it has a name")?;
            self.enter(connection, node, name.as_bytes(), &below, part, links)?;
        }
        Ok(())
    }

    /// Compares what the model has with the host and with what the server says.
    pub fn compare_all(
        &mut self,
        world: &World,
        connection: &mut Connection,
        random: &mut Random,
    ) -> Result<()> {
        let top = self.names_mut(ROOT).get(&b"scratch"[..]).copied().context("the scratch is there")?;
        let mut left = vec![(top, world.scratch())];
        while let Some((node, host)) = left.pop() {
            self.compare_host(node, &host).with_context(|| format!("on the host, {}", host.display()))?;
            self.compare_served(node, connection, random)
                .with_context(|| format!("as it is served, {}", host.display()))?;
            if let Contents::Directory { names, .. } = &self.nodes[node].contents {
                let path = |name: &Vec<u8>| host.join(std::ffi::OsStr::from_bytes(name));
                left.extend(names.iter().map(|(name, node)| (*node, path(name))));
            }
        }
        Ok(())
    }

    fn compare_host(&self, number: usize, host: &Path) -> Result<()> {
        let node = &self.nodes[number];
        let meta = host.symlink_metadata().context("it is not there")?;
        let found = (meta.uid(), meta.gid());
        ensure!(
            found == (node.uid, node.gid),
            "the owner is {found:?}, and the model has {}:{}",
            node.uid,
            node.gid
        );
        let mode = meta.mode() & 0o7777;
        let is_link = meta.is_symlink();
        ensure!(is_link || mode == node.mode, "the mode is {mode:o}, and the model has {:o}", node.mode);
        ensure!(meta.is_dir() || meta.nlink() == u64::from(node.links), "{} links", meta.nlink());
        match (&node.contents, contents(host, &meta, 0)?) {
            (Contents::Directory { names, .. }, Contents::Directory { .. }) => {
                let here = below(host)?.len();
                ensure!(here == names.len(), "{here} names, and the model has {}", names.len());
            }
            (Contents::File(bytes), Contents::File(found)) => {
                ensure!(*bytes == found, super::differing(bytes, &found));
            }
            (Contents::Symlink(target), Contents::Symlink(found)) => {
                ensure!(*target == found, "another target");
            }
            (expected, found) => {
                ensure!(
                    expected.kind() == found.kind(),
                    "{}, and the model has {}",
                    found.kind(),
                    expected.kind()
                );
            }
        }
        Ok(())
    }

    /// Its attributes, and the names in a directory, in replies of any size.
    fn compare_served(
        &mut self,
        node: usize,
        connection: &mut Connection,
        random: &mut Random,
    ) -> Result<()> {
        let Some(object) = self.nodes[node].handle.clone() else { return Ok(()) };
        let Outcome { status, attributes, .. } =
            done(connection.ask(&Call::GetAttr(GETATTR3args { object: handle(&object) }), &USERS[0])?)?;
        let attributes = attributes.with_context(|| format!("GETATTR gives {status}"))?;
        self.compare_attributes(node, &attributes).map_err(anyhow::Error::msg)?;
        if !self.is_directory(node) {
            return Ok(());
        }
        let mut names = Vec::new();
        let mut cookie = 0;
        loop {
            let count = (LISTING_MIN + random.below(LISTING_MORE)) as u32;
            let (dir, cookieverf) = (handle(&object), cookieverf3::default());
            let listing = Call::ReadDir(READDIR3args { dir, cookie, cookieverf, count });
            let Outcome { status, body, .. } = done(connection.ask(&listing, &USERS[0])?)?;
            let Body::Names { names: more, eof } = body else { bail!("READDIR gives {status}") };
            cookie = more.last().map_or(cookie, |name| name.cookie);
            ensure!(eof || !more.is_empty(), "READDIR gives no name, and does not end");
            names.extend(more.into_iter().map(|name| name.name));
            if eof {
                break;
            }
        }
        let names: Vec<&[u8]> = names.iter().map(|name| &name[..]).collect();
        self.compare_names(node, &names, true).map_err(anyhow::Error::msg)
    }

    /// The handles of all that there is.
    pub fn pool(&self) -> Pool {
        let mut pool = Pool::default();
        for node in self.nodes.iter().filter(|node| node.links > 0) {
            let Some(handle) = node.handle.clone() else { continue };
            // What may be changed, more often than what may not.
            let times = if node.part == Part::Scratch { SCRATCH_TIMES } else { 1 };
            let Contents::Directory { names, .. } = &node.contents else {
                pool.others.extend(std::iter::repeat_n(handle, times));
                continue;
            };
            for (name, below) in names {
                if let Node { number: Some(number), contents: Contents::File(_), .. } = self.nodes[*below] {
                    pool.named.push((handle.clone(), name.clone(), number));
                }
            }
            pool.directories.extend(std::iter::repeat_n(handle, times));
        }
        pool
    }

    /// Every handle that the model knows.
    pub fn handles(&self) -> impl Iterator<Item = &Handle> {
        self.handles.keys()
    }

    /// The handles of files that are gone.
    pub fn gone(&self) -> impl Iterator<Item = &Handle> {
        self.nodes.iter().filter(|node| node.links == 0).filter_map(|node| node.handle.as_ref())
    }

    /// The handle of the view's root.
    pub fn root(&self) -> Option<&Handle> {
        self.nodes[ROOT].handle.as_ref()
    }

    /// How many files there are.
    pub fn len(&self) -> usize {
        self.nodes.iter().filter(|node| node.links > 0).count()
    }
}

fn directory(names: &[(&[u8], usize)]) -> Contents {
    let names = names.iter().map(|(name, node)| (name.to_vec(), *node)).collect();
    Contents::Directory { names, parent: ROOT }
}

/// What a file of the host holds.
fn contents(host: &Path, meta: &Metadata, parent: usize) -> Result<Contents> {
    Ok(match meta.file_type() {
        kind if kind.is_dir() => Contents::Directory { names: BTreeMap::new(), parent },
        kind if kind.is_symlink() => Contents::Symlink(fs::read_link(host)?.as_os_str().as_bytes().to_vec()),
        kind if kind.is_fifo() => Contents::Fifo,
        kind if kind.is_socket() => Contents::Socket,
        kind if kind.is_file() => Contents::File(fs::read(host)?),
        _ => bail!("{} is of a type that nobody makes", host.display()),
    })
}

/// The paths in a directory, sorted.
fn below(host: &Path) -> Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(host)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn done(reply: Reply) -> Result<Outcome> {
    match reply {
        Reply::Done(outcome) => Ok(outcome),
        other => bail!("{}", other.summary()),
    }
}

fn lookup(connection: &mut Connection, directory: &Handle, name: &[u8]) -> Result<Handle> {
    let what = diropargs3 { dir: handle(directory), name: name.to_vec().into() };
    match done(connection.ask(&Call::Lookup(LOOKUP3args { what }), &USERS[0])?)? {
        Outcome { body: Body::Handle(found), .. } => Ok(found),
        Outcome { status, .. } => {
            let (name, directory) = (name.escape_ascii(), directory.escape_ascii());
            bail!("LOOKUP of {name} in {directory} gives {status}")
        }
    }
}

fn cut(connection: &mut Connection, object: &Handle) -> Result<()> {
    let new_attributes = sattr3 { size: Nfs3Option::Some(0), ..sattr3::default() };
    let set = SETATTR3args { object: handle(object), new_attributes, guard: sattrguard3::None };
    let outcome = done(connection.ask(&Call::SetAttr(set), &USERS[0])?)?;
    ensure!(outcome.status == nfsstat3::NFS3_OK, "a file cannot be cut: {}", outcome.status);
    Ok(())
}
