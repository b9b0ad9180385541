//! `loopbox mount SPEC.json DIR`: a view for everybody on this machine, for as long as loopbox runs.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use sandbox::backend::{Changes, devices};
use sandbox::host_mount::HostMount;
use sandbox::recovery::{Leftovers, StateDir};
use sandbox::view::ViewSpec;

use super::need_root;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;
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
        /// The I/O error.
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
    let at = sandbox::mount_path(&at);
    let interrupt = Interrupt::watch()?;
    let (stopped, stop) = io::pipe()?;
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;

    let mut record = state.record(Leftovers { mount: Some(at.clone()), temporary: Vec::new() })?;
    // The host goes on living beside the mount.
    let mut mount = HostMount::new(&spec, &at, Changes::Live, &mut record)?;
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
    drop(record);
    unmounted?;
    Ok(status.unwrap_or(Status::Done))
}

/// Reads a view from a file.
pub(super) fn read(path: &Path) -> Result<ViewSpec, SpecFileError> {
    let text = fs::read(path).map_err(|source| SpecFileError::Read { path: path.into(), source })?;
    serde_json::from_slice(&text).map_err(|source| SpecFileError::Malformed { path: path.into(), source })
}
