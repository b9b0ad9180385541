//! Moves outputs into the store by rename, each in one step, and takes them back unless they are kept.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::renameat;

use super::{OutputError, open_directory};
use crate::plan::PlannedOutput;
use crate::scratch;
use crate::store::Store;

/// Outputs that are in place but not registered.
#[derive(Debug)]
pub(super) struct Moved {
    places: Vec<PathBuf>,
}

/// Moves the outputs. What is there already under their names is not valid, or they would not have been built: it is
/// the rest of a build that died, and is removed.
pub(super) fn move_in(
    from: &OwnedFd,
    outputs: &[&PlannedOutput],
    store: &Store,
) -> Result<Moved, OutputError> {
    let into = open_directory(store.directory())?;
    let mut moved = Moved { places: Vec::new() };
    for output in outputs {
        let place = store.locate(&output.path);
        let failed = |source| OutputError::Move { output: output.name.clone(), source };
        scratch::remove(&place).map_err(failed)?;
        renameat(from, output.path.base(), &into, output.path.base())
            .map_err(|error| failed(error.into()))?;
        moved.places.push(place);
    }
    Ok(moved)
}

impl Moved {
    /// Leaves the outputs where they are: they have been registered.
    pub fn keep(mut self) {
        self.places.clear();
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        for place in &self.places {
            if let Err(error) = scratch::remove(place) {
                tracing::warn!(?place, %error, "cannot remove an output that was not registered");
            }
        }
    }
}
