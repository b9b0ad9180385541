//! What the self-test works on: a directory of its own, and a view of it, served and mounted.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sandbox::MountError;
use sandbox::backend::Changes;
use sandbox::host_mount::HostMount;
use sandbox::recovery::{Leftovers, RunRecord, StateDir};
use sandbox::view::{Access, Entry, Owner, ViewSpec};

use crate::globals::Globals;

/// The contents of the one file that is shown.
pub const CONTENTS: &str = "shown\n";

/// The directory, the server and the mount.
pub struct Fixture {
    /// The directory, removed in the end.
    pub base: PathBuf,
    /// Where the view is mounted: a file at `shown/file`, and a writable directory `work`.
    pub at: PathBuf,
    /// Where runs are recorded.
    pub state: PathBuf,
    /// The same directory, open.
    #[cfg_attr(not(target_os = "macos"), allow(dead_code, reason = "entry modes are probed on macOS"))]
    pub records: StateDir,
    /// What a later run sweeps when this one is killed.
    record: Mutex<Option<RunRecord>>,
    /// Whether what takes long is left out.
    pub quick: bool,
    mount: Mutex<Option<HostMount>>,
}

/// A step of making the fixture that failed.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct FixtureError {
    context: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

fn failed_step<E: std::error::Error + Send + Sync + 'static>(
    context: &'static str,
) -> impl FnOnce(E) -> FixtureError {
    move |source| FixtureError { context, source: Box::new(source) }
}

impl Fixture {
    /// Makes it, and takes back what was made if something fails.
    pub fn create(
        within: &Path,
        state: &StateDir,
        globals: &Globals,
        quick: bool,
    ) -> Result<Fixture, FixtureError> {
        let base = within.join(sandbox::unguessable("loopbox-verify"));
        let at = base.join("view.noindex");
        let leftovers = Leftovers { mount: Some(at.clone()), temporary: vec![base.clone()] };
        let recorded = state.record(leftovers);
        let mut record = recorded.map_err(failed_step("cannot record the directory to try things in"))?;
        let made = create_files(&base, &at).map_err(failed_step("cannot make a directory to try things in"));
        let made = made.and_then(|()| serve(&base, &at, &mut record));
        match made {
            Ok(mount) => Ok(Fixture {
                base,
                at,
                state: globals.state_dir.clone(),
                records: state.clone(),
                record: Mutex::new(Some(record)),
                quick,
                mount: Mutex::new(Some(mount)),
            }),
            Err(error) => {
                // What has not been made need not be removed.
                let _ = record.remove(&base);
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

    /// Where the server listens; none once it is gone.
    pub fn address(&self) -> Option<SocketAddr> {
        lock(&self.mount).as_ref().map(HostMount::address)
    }

    /// Connects to the server from its own network.
    pub fn connect(&self) -> io::Result<TcpStream> {
        let mount = lock(&self.mount);
        mount.as_ref().ok_or_else(|| io::Error::other("nothing is mounted any more"))?.connect()
    }

    /// Unmounts in order.
    pub fn unmount(&self) -> Result<(), MountError> {
        lock(&self.mount).take().map_or(Ok(()), HostMount::unmount)
    }

    /// Takes everything away, in whatever state it is. The record goes here, too, since whoever tried something may still
    /// hold the fixture when this process ends.
    pub fn end(&self) {
        drop(lock(&self.mount).take());
        if let Some(record) = lock(&self.record).take()
            && let Err(error) = record.remove(&self.base)
        {
            tracing::warn!("cannot remove {:?}: {error}", self.base);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Others may pass, so that they can be seen to reach the mount.
fn create_files(base: &Path, at: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o711).create(base)?;
    for directory in [at, &base.join("shown"), &base.join("work")] {
        DirBuilder::new().mode(0o755).create(directory)?;
    }
    fs::write(base.join("shown/file"), CONTENTS)?;
    File::create(base.join("reached"))?;
    Ok(())
}

fn serve(base: &Path, at: &Path, record: &mut RunRecord) -> Result<HostMount, FixtureError> {
    let (shown, work) = (base.join("shown"), base.join("work"));
    let owner = Owner::default();
    let view = ViewSpec {
        entries: vec![
            Entry::Graft { at: "/shown".into(), source: shown, access: Access::Ro, optional: false },
            Entry::Scratch { at: "/work".into(), source: work, mode: 0o755, owner },
        ],
    };
    let mount = HostMount::new(&view, at, Changes::Exclusive, record);
    let mut mount = mount.map_err(failed_step("cannot serve and mount a view"))?;
    // Others are to find it free.
    mount.share();
    Ok(mount)
}
