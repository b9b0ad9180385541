//! What the cases' directories are on: a file system of the machine's own, the kernel's NFS server, or loopbox.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use mounter::{Mount, MountOptions, Source};
use nfs_server::view::{Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use nix::mount::{MntFlags, umount2};

use super::behind::Behind;
use crate::vm::knfsd;

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ground {
    /// The machine's own.
    Tmpfs,
    /// The kernel's own NFS server, mounted over loopback.
    Knfsd,
    /// A writable directory of a loopbox view.
    Loopbox,
}

impl fmt::Display for Ground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ground::Tmpfs => "tmpfs",
            Ground::Knfsd => "knfsd",
            Ground::Loopbox => "loopbox",
        })
    }
}

/// A mounted ground.
pub struct Held {
    directory: PathBuf,
    loopbox: Option<(Mount, Server)>,
}

impl Ground {
    /// Where a server's directory is mounted.
    pub fn at(self) -> PathBuf {
        PathBuf::from(format!("/mnt/{self}"))
    }

    /// The directory itself, behind the server.
    pub fn backing(self) -> PathBuf {
        PathBuf::from(format!("/mnt/{self}-backing"))
    }

    /// Mounts it.
    pub fn prepare(self, behind: Behind) -> Result<Held> {
        if self == Ground::Tmpfs && behind != Behind::Tmpfs {
            bail!("on tmpfs nothing else is behind: name other grounds with --on");
        }
        let backing = self.backing();
        fs::create_dir_all(&backing)?;
        behind.mount(&backing)?;
        if self == Ground::Tmpfs {
            return Ok(Held { directory: backing, loopbox: None });
        }
        let at = self.at();
        fs::create_dir_all(&at)?;
        let mut loopbox = None;
        if self == Ground::Knfsd {
            knfsd::serve(&backing, &at)?;
        } else {
            loopbox = Some(serve(&backing, &at)?);
        }
        Ok(Held { directory: at, loopbox })
    }
}

impl Held {
    /// Where the cases work.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Unmounts; a mount that is still in use is a fault of the case that left it so.
    pub fn clean_up(self) -> Result<()> {
        match self.loopbox {
            Some((mount, server)) => {
                mount.unmount().context("the view cannot be unmounted")?;
                println!("{} calls", server.stop().total());
            }
            None => umount2(&self.directory, MntFlags::empty()).context("cannot unmount the reference")?,
        }
        Ok(())
    }
}

/// One writable directory, served and mounted.
fn serve(backing: &Path, at: &Path) -> Result<(Mount, Server)> {
    let entry = Entry::Scratch {
        at: "/".into(),
        source: backing.to_owned(),
        mode: 0o1777,
        owner: Owner { uid: 0, gid: 0 },
    };
    let view = View::open(&ViewSpec { entries: vec![entry] }, None).context("the view cannot be opened")?;
    let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
    let server = Server::start(Arc::new(view), options).context("the server cannot be started")?;
    let addr: SocketAddr = server.addr();
    let source = Source { addr, export: server.export().to_owned(), namespace: None };
    let mount = Mount::new(&source, at, &MountOptions::default()).context("the view cannot be mounted")?;
    Ok((mount, server))
}
