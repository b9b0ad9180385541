//! The servers, each as something that is started on a directory and can be mounted or spoken to.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use mounter::jail::User;
use mounter::options::{self, Recovery};
use mounter::{MountOptions, Source};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};
use nix::mount::{MsFlags, mount};
use serde::{Deserialize, Serialize};

use super::subjects::Server;
use super::work::{LARGE, MANY, SCRATCH, TREE, compile};
use crate::vm::knfsd;

pub mod ganesha;
pub mod nfs3_server;
pub mod nfsserve;
pub mod serve;

/// How long a server may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Between two looks at whether it has.
const POLL: Duration = Duration::from_millis(10);

/// A directory, and the view in which loopbox shows the same at the same places.
#[derive(Clone, Debug)]
pub struct Offer {
    /// The directory that other servers export.
    pub root: PathBuf,
    /// What loopbox and those on its view show.
    pub spec: ViewSpec,
}

/// Where a server is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The port of the NFS program.
    pub nfs: u16,
    /// The port of the MOUNT program.
    pub mount: u16,
    /// What is mounted.
    pub export: String,
}

/// A server that serves. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    /// Where it is spoken to.
    pub address: Address,
    /// Its process; the kernel's own has none.
    process: Option<Child>,
    /// What had to be started beside it.
    helper: Option<Child>,
}

impl Offer {
    /// What the workloads need: a tree and a large file as a build has its inputs, and a place to write to.
    pub fn new(root: &Path) -> Result<Offer> {
        fs::create_dir_all(root.join(SCRATCH)).context("cannot create the place to write to")?;
        let at = |name: &str| Path::new("/").join(name);
        let graft = |name: &str| Entry::Graft {
            at: at(name),
            source: root.join(name),
            access: Access::Fixed,
            optional: true,
        };
        let scratch = |name: &str| Entry::Scratch {
            at: at(name),
            source: root.join(name),
            mode: 0o755,
            owner: Owner::default(),
        };
        let mut entries = vec![graft(TREE), graft(LARGE), graft(MANY), scratch(SCRATCH)];
        if root.join(compile::ROOT).exists() {
            entries.push(graft(&format!("{}/{}", compile::ROOT, compile::TOOLS)));
            entries.push(scratch(&format!("{}/{}", compile::ROOT, compile::BUILD)));
            entries.push(Entry::Directory {
                at: at(compile::ROOT).join("dev"),
                mode: 0o755,
                owner: Owner::default(),
            });
        }
        let spec = ViewSpec { entries };
        Ok(Offer { root: root.to_owned(), spec })
    }
}

impl Address {
    /// Mounts what is served, with loopbox's own options whoever serves.
    pub fn mount(&self, at: &Path) -> Result<()> {
        let source = Source {
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, self.nfs)),
            export: self.export.clone(),
            namespace: None,
        };
        let line = format!(
            "{},mountport={}",
            options::linux(&source, &MountOptions::default(), Recovery::Softerr),
            self.mount
        );
        let device = options::device(&source);
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOATIME;
        mount(Some(device.as_str()), at, Some("nfs"), flags, Some(line.as_str()))
            .with_context(|| format!("cannot mount {device}"))
    }
}

impl Running {
    /// Starts a server. `peers` says whose connections loopbox takes; nobody else can tell them apart.
    pub fn start(server: Server, offer: &Offer, peers: serve::Peers) -> Result<Running> {
        match server {
            Server::Knfsd => {
                knfsd::export(&offer.root)?;
                let export = offer.root.display().to_string();
                let address = Address { nfs: knfsd::PORT, mount: knfsd::MOUNT_PORT, export };
                Ok(Running { address, process: None, helper: None })
            }
            Server::Ganesha => {
                let (address, process, helper) = ganesha::start(&offer.root)?;
                Ok(Running { address, process: Some(process), helper })
            }
            _ => Running::spawn(serve::command(server, offer, peers)?),
        }
    }

    /// Starts a process that prints its address and serves until its standard input ends.
    fn spawn(mut command: Command) -> Result<Running> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let address = Address { nfs: 0, mount: 0, export: String::new() };
        let mut running = Running { address, process: Some(process), helper: None };
        running.address =
            serde_json::from_str(&line).with_context(|| format!("{command:?} did not start"))?;
        Ok(running)
    }

    /// The process that serves.
    pub fn process(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            end(&mut process);
        }
        if let Some(mut helper) = self.helper.take() {
            end(&mut helper);
        }
    }
}

/// Whom the crates on a view take everybody for.
fn root() -> User {
    User::new(0, 0)
}

/// Ends a process: when its standard input ends, or else by force.
fn end(process: &mut Child) {
    let patience = if process.stdin.take().is_some() { LAST_WORDS } else { Duration::ZERO };
    let start = Instant::now();
    while let Ok(None) = process.try_wait() {
        if start.elapsed() >= patience {
            // It fails only if the process has just ended.
            let _ = process.kill();
            let _ = process.wait();
            return;
        }
        thread::sleep(POLL);
    }
}
