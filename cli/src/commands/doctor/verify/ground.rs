//! What the self-test stands on: a directory of its own, and a view of it, served and mounted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mounter::stale::{Leftovers, Note, StateDir};
use mounter::{Mount, MountError, MountOptions, Network, Source};
use nfs_server::view::{Access, Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};

use crate::arguments::Globals;

/// The contents of the one file that is shown.
pub const CONTENTS: &str = "shown\n";

/// The directory, the server and the mount.
pub struct Ground {
    /// The directory, removed in the end.
    pub base: PathBuf,
    /// Where the view is mounted: a file at `shown/file`, and a writable directory `work`.
    pub at: PathBuf,
    /// Where notes are kept.
    pub state: PathBuf,
    /// The same directory, open.
    #[cfg_attr(not(target_os = "macos"), allow(dead_code, reason = "ways into views are tried on macOS"))]
    pub notes: StateDir,
    /// What a later run sweeps when this one is killed.
    note: Mutex<Option<Note>>,
    /// Whether what takes long is left out.
    pub quick: bool,
    /// Where the server listens.
    pub address: SocketAddr,
    /// Where that address is.
    pub network: Network,
    server: Mutex<Option<Server>>,
    mount: Mutex<Option<Mount>>,
}

/// The ground could not be made.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub struct GroundError {
    doing: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn while_at<E: std::error::Error + Send + Sync + 'static>(
    doing: &'static str,
) -> impl FnOnce(E) -> GroundError {
    move |source| GroundError { doing, source: Box::new(source) }
}

impl Ground {
    /// Makes it, and takes back what was made if something fails.
    pub fn make(
        within: &Path,
        state: &StateDir,
        globals: &Globals,
        quick: bool,
    ) -> Result<Ground, GroundError> {
        let base = within.join(mounter::unguessable("loopbox-verify"));
        let at = base.join("view.noindex");
        let leftovers = Leftovers { mount: Some(at.clone()), temporary: vec![base.clone()] };
        let note = state.note(leftovers).map_err(while_at("cannot note the directory to try things in"))?;
        let made = lay_out(&base, &at).map_err(while_at("cannot make a directory to try things in"));
        let made = made.and_then(|()| serve(&base, &at));
        match made {
            Ok((network, server, mount)) => Ok(Ground {
                base,
                at,
                state: globals.state_dir.clone(),
                notes: state.clone(),
                note: Mutex::new(Some(note)),
                quick,
                address: server.addr(),
                network,
                server: Mutex::new(Some(server)),
                mount: Mutex::new(Some(mount)),
            }),
            Err(error) => {
                // What has not been made need not be removed.
                let _ = note.remove(&base);
                Err(error)
            }
        }
    }

    /// The writable directory, through the mount.
    pub fn work(&self) -> PathBuf {
        self.at.join("work")
    }

    /// The same directory, behind the server.
    pub fn behind(&self) -> PathBuf {
        self.base.join("work")
    }

    /// Unmounts in order.
    pub fn unmount(&self) -> Result<(), MountError> {
        lock(&self.mount).take().map_or(Ok(()), Mount::unmount)
    }

    /// Takes everything away, in whatever state it is. The note goes here, too, since whoever tried something may still
    /// hold the ground when this process ends.
    pub fn end(&self) {
        drop(lock(&self.mount).take());
        if let Some(server) = lock(&self.server).take() {
            server.stop();
        }
        if let Some(note) = lock(&self.note).take()
            && let Err(error) = note.remove(&self.base)
        {
            tracing::warn!("cannot remove {:?}: {error}", self.base);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Others may pass, so that they can be seen to reach the mount.
fn lay_out(base: &Path, at: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o711).create(base)?;
    for directory in [at, &base.join("shown"), &base.join("work")] {
        DirBuilder::new().mode(0o755).create(directory)?;
    }
    fs::write(base.join("shown/file"), CONTENTS)?;
    File::create(base.join("reached"))?;
    Ok(())
}

fn serve(base: &Path, at: &Path) -> Result<(Network, Server, Mount), GroundError> {
    let (shown, work) = (base.join("shown"), base.join("work"));
    let owner = Owner::default();
    let spec = ViewSpec {
        entries: vec![
            Entry::Graft { at: "/shown".into(), source: shown, access: Access::Ro, optional: false },
            Entry::Scratch { at: "/work".into(), source: work, mode: 0o755, owner },
        ],
    };
    let view = Arc::new(View::open(&spec, None).map_err(while_at("cannot open a view"))?);
    let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
    let network = Network::new().map_err(while_at("cannot serve a view"))?;
    let server = network.within(|| Server::start(view, options)).map_err(while_at("cannot serve a view"))?;
    let server = server.map_err(while_at("cannot serve a view"))?;
    let source = Source { addr: server.addr(), export: server.export().into(), namespace: network.path() };
    let mut mount =
        Mount::new(&source, at, &MountOptions::default()).map_err(while_at("cannot mount a view"))?;
    // Others are to find it free.
    mount.share();
    Ok((network, server, mount))
}
