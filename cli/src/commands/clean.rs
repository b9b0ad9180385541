//! `loopbox clean`: remove what killed runs left behind.

use std::path::PathBuf;

use builder::store::Store;
use sandbox::recovery::StateDir;

use super::builds::sweep_and_make_writable;
use super::need_root;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::globals::Globals;
use crate::output;

/// Something could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {path:?}, which a killed run left behind: {problem}")]
struct NotRemoved {
    path: PathBuf,
    problem: String,
}

/// Prints what was removed, one per line.
pub fn execute(globals: &Globals) -> CommandResult {
    need_root()?;
    let mut left = None;
    let (state, store) = (StateDir::open(&globals.state_dir)?, Store::from_environment());
    for swept in sweep_and_make_writable(&state, store.directory())? {
        if let Some(mount) = &swept.mount {
            output::print(format!("unmounted {}", output::name(mount)))?;
        }
        if let Some(image) = &swept.detached {
            output::print(format!("detached {}", image.display()))?;
        }
        for path in &swept.removed {
            output::print(format!("removed {}", output::name(path)))?;
        }
        left = left.or(swept.left.into_iter().next());
    }
    for path in builder::sweep::sweep(&globals.state_dir, &store)? {
        output::print(format!("removed {}", output::name(path)))?;
    }
    match left {
        Some((path, problem)) => Err(NotRemoved { path, problem }.into()),
        None => Ok(Status::Done),
    }
}
