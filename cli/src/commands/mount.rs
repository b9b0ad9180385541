//! `loopbox mount SPEC.json DIR`: a view for everybody on this machine, for as long as loopbox runs.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::backend::devices;
use mounter::options::Changes;
use mounter::stale::{Leftovers, StateDir};
use mounter::{Mount, MountOptions, Network, Source};
use nfs_server::view::{View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};

use super::need_root;
use crate::arguments::Globals;
use crate::error::{CommandResult, Status};
#[cfg(target_os = "linux")]
use crate::itself;
use crate::output;
use crate::signals::Interrupt;

/// Arguments of `loopbox mount`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The view as JSON: what 'loopbox run --dry-run' prints as "view"
    #[arg(value_name = "SPEC.json")]
    spec: PathBuf,
    /// Where to mount it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Why a view could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum SpecFileError {
    /// The file cannot be read.
    #[error("cannot read the view {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not JSON, or not a valid view.
    #[error("{path:?} does not describe a view")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
}

/// Serves the view, mounts it, waits, unmounts while still serving, and stops.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let spec = read(&arguments.spec)?;
    spec.validate()?;
    let at = std::path::absolute(&arguments.directory)?;
    need_root()?;
    let at = mounter::mount_path(&at);
    let interrupt = Interrupt::watch()?;
    let (stopped, stop) = io::pipe()?;
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;

    let view = Arc::new(View::open(&spec, None)?);
    let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
    let network = Network::new()?;
    let server = network.within(|| Server::start(view, options))??;
    let source = Source { addr: server.addr(), export: server.export().into(), namespace: network.path() };
    // The host goes on living beside the mount.
    let options = MountOptions { changes: Changes::Live };
    let mut note = state.note(Leftovers { mount: Some(at.clone()), temporary: Vec::new() })?;
    let mut mount = Mount::new(&source, &at, &options)?;
    note.mounted_at(mount.at())?;
    #[cfg(target_os = "linux")]
    let _guard = mount.start_guard(&itself::program()?)?;
    mount.share();
    let at = output::name(mount.at());
    output::tell(format_args!("mounted at {at}; 'loopbox unmount {at}' or Ctrl-C ends it"));
    if !devices(&spec).is_empty() {
        output::tell(
            "note: its devices cannot be opened: only a jail, as 'loopbox run' makes, mounts devices that work",
        );
    }

    let _stopped_by_signals = interrupt.cancel().on_cancel(move || {
        // The other end lives as long as anybody waits for it.
        let _ = (&stop).write_all(b".");
    });
    mount.wait_until_gone(stopped.as_fd())?;
    let status = interrupt.status();
    let unmounted = match status {
        Some(_) => mount.unmount(),
        None => {
            mount.forget();
            Ok(())
        }
    };
    server.stop();
    drop(note);
    unmounted?;
    Ok(status.unwrap_or(Status::Done))
}

/// Reads a view from a file.
pub(super) fn read(path: &Path) -> Result<ViewSpec, SpecFileError> {
    let text = fs::read(path).map_err(|source| SpecFileError::Read { path: path.into(), source })?;
    serde_json::from_slice(&text).map_err(|source| SpecFileError::Malformed { path: path.into(), source })
}
