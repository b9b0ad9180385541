//! What the targets that talk to the server talk to: a host directory, a view of it with every kind of entry, and its server.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use nfs_server::view::{Access, Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use walkdir::WalkDir;

use super::Run;
use crate::lab::remove;

/// An answer that takes longer never comes.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Set by the panic of any thread.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Calls `attack` with a host directory that is empty before and gone afterwards, and notes panics meanwhile.
pub fn with_host(run: &mut Run, attack: impl FnOnce(&mut Run, &Path) -> Result<()>) -> Result<()> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICKED.store(true, Ordering::Relaxed);
        usual(panic);
    }));
    let host = run.lab.path(&format!("fuzz/host-{}", std::process::id()))?;
    remove(&host)?;
    let result = attack(run, &host);
    remove(&host)?;
    // The usual one again.
    drop(std::panic::take_hook());
    result
}

/// Whether a thread has panicked since this was asked last.
pub fn has_panicked() -> bool {
    PANICKED.swap(false, Ordering::Relaxed)
}

/// A served view and the host directory behind it.
///
/// ```text
/// /graft    host/graft, read-only      /etc/passwd   inline file
/// /scratch  host/scratch, mode 1777    /link         symbolic link
/// /dev/null device                                   host/outside is not in the view
/// ```
pub struct World {
    host: PathBuf,
    server: Server,
    /// What no call may change.
    sources: Vec<String>,
}

impl World {
    /// Makes what is missing below `host`, and serves it.
    pub fn make(host: &Path, users: Users) -> Result<World> {
        for directory in ["graft/directory", "scratch"] {
            fs::create_dir_all(host.join(directory))?;
        }
        for (file, contents, mode) in [
            ("graft/file", "shown", 0o644),
            ("graft/closed", "root's", 0o600),
            ("graft/directory/below", "deeper", 0o644),
            ("outside", "not shown", 0o644),
        ] {
            fs::write(host.join(file), contents)?;
            fs::set_permissions(host.join(file), fs::Permissions::from_mode(mode))?;
        }
        let link = host.join("graft/link");
        if link.symlink_metadata().is_err() {
            symlink("file", &link)?;
        }
        let view = View::open(&spec(host), None).context("the view cannot be opened")?;
        let options = ServerOptions::new(users, Peers::Anyone);
        let server = Server::start(Arc::new(view), options).context("the server cannot be started")?;
        Ok(World { host: host.to_owned(), server, sources: sources(host)? })
    }

    /// A new connection to the server.
    pub fn connect(&self) -> Result<TcpStream> {
        let stream = TcpStream::connect(self.server.addr()).context("the server cannot be reached")?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// The path to mount.
    pub fn export(&self) -> &str {
        self.server.export()
    }

    /// The host directory behind `/scratch`.
    pub fn scratch(&self) -> PathBuf {
        self.host.join("scratch")
    }

    /// Whether everything on the host but what is in the scratch is as it was.
    pub fn is_untouched(&self) -> bool {
        sources(&self.host).is_ok_and(|sources| sources == self.sources)
    }
}

fn spec(host: &Path) -> ViewSpec {
    let owner = Owner { uid: 0, gid: 0 };
    let graft = host.join("graft");
    let entries = vec![
        Entry::Directory { at: "/".into(), mode: 0o755, owner: Owner::default() },
        Entry::Graft { at: "/graft".into(), source: graft, access: Access::Ro, optional: false },
        Entry::Scratch { at: "/scratch".into(), source: host.join("scratch"), mode: 0o1777, owner },
        Entry::Inline { at: "/etc/passwd".into(), contents: "root:x:0:0\n".into(), mode: 0o444 },
        Entry::Symlink { at: "/link".into(), target: "/graft/file".into() },
        Entry::Device { at: "/dev/null".into(), major: 1, minor: 3, mode: 0o666, owner: Owner::default() },
    ];
    ViewSpec { entries }
}

/// A line for each file of the host that is not in the scratch: all that a call could change of it.
fn sources(host: &Path) -> Result<Vec<String>> {
    let scratch = host.join("scratch");
    let walk = WalkDir::new(host).min_depth(1).sort_by_file_name();
    let entries = walk.into_iter().filter_entry(|entry| entry.path() != scratch);
    entries.map(|entry| Ok(line(entry?.path())?)).collect()
}

fn line(path: &Path) -> std::io::Result<String> {
    let meta = path.symlink_metadata()?;
    let contents = match meta.file_type() {
        kind if kind.is_file() => fs::read(path)?,
        kind if kind.is_symlink() => fs::read_link(path)?.into_os_string().into_encoded_bytes(),
        _ => Vec::new(),
    };
    let (mode, uid, gid, links) = (meta.mode(), meta.uid(), meta.gid(), meta.nlink());
    let (changed, nanoseconds) = (meta.ctime(), meta.ctime_nsec());
    let contents = contents.escape_ascii();
    Ok(format!("{} {mode:o} {uid} {gid} {links} {changed}.{nanoseconds:09} {contents}", path.display()))
}
