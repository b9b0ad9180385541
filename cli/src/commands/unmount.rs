//! `loopbox unmount DIR`: end what `loopbox mount` has mounted.

use std::path::PathBuf;

use sandbox::MountError;
use sandbox::recovery::StateDir;

use super::need_root;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;

/// Arguments of `loopbox unmount`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where it is mounted
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Unmount it even while it is in use; data that was not written back yet is lost
    #[arg(short, long)]
    force: bool,
}

/// Unmounts. The loopbox that serves the mount notices and exits.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    need_root()?;
    let at = sandbox::mount_path(&std::path::absolute(&arguments.directory)?);
    let state = StateDir::open(&globals.state_dir)?;
    // A mount whose server is dead cannot be unmounted in the ordinary way.
    let swept = state.sweep()?;
    if swept.iter().any(|swept| swept.mount.as_deref() == Some(&at)) {
        return Ok(Status::Done);
    }
    if state.owner_of(&at)?.is_none() {
        return Err(MountError::NotMounted { at }.into());
    }
    sandbox::unmount(&at, arguments.force)?;
    Ok(Status::Done)
}
