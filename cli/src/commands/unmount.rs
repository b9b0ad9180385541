//! `loopbox unmount DIR`: end what `loopbox mount` has mounted.

use std::path::PathBuf;

use mounter::MountError;
use mounter::stale::StateDir;

use super::need_root;
use crate::arguments::Globals;
use crate::failure::{Answer, Status};

/// Words of `loopbox unmount`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where it is mounted
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Unmount it also while it is in use; what its users have not yet written is lost
    #[arg(short, long)]
    force: bool,
}

/// Unmounts. The loopbox that serves the mount notices, and ends.
pub fn execute(arguments: &Arguments, globals: &Globals) -> Answer {
    need_root()?;
    let at = mounter::mount_path(&std::path::absolute(&arguments.directory)?);
    let state = StateDir::open(&globals.state_dir)?;
    // A mount whose server is dead would not let itself be unmounted in order.
    let swept = state.sweep()?;
    if swept.iter().any(|swept| swept.mount.as_deref() == Some(&at)) {
        return Ok(Status::Done);
    }
    if state.owner_of(&at)?.is_none() {
        return Err(MountError::NotMounted { at }.into());
    }
    mounter::unmount(&at, arguments.force)?;
    Ok(Status::Done)
}
