//! Outputs at their own places in the store, where builds write them on a Mac whose root stays. They are moved out of it
//! as soon as nobody can write to them any more, and are from then on like those of any other build.

use std::io;
use std::path::PathBuf;

use crate::plan::Plan;
use crate::store::Store;

/// Outputs that are being written into the store.
pub(crate) struct InPlace<'a> {
    plan: &'a Plan,
    store: &'a Store,
}

/// Why outputs cannot be written into the store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InPlaceError {
    /// Some of them are there.
    #[error(
        "some outputs are there already, and this Mac, whose root stays, cannot show a build others in their places"
    )]
    Taken,
    /// One cannot be moved out of the way, or out of the store.
    #[error("cannot move {path:?} out of the store")]
    Move {
        /// The output.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl<'a> InPlace<'a> {
    /// Makes the places free, if the build is to write to them. The caller has locked the outputs, and says whether the build
    /// is to make `all` of them.
    pub fn begin(plan: &'a Plan, store: &'a Store, all: bool) -> Result<Option<InPlace<'a>>, InPlaceError> {
        if plan.jail.changes_root() {
            return Ok(None);
        }
        if !all {
            return Err(InPlaceError::Taken);
        }
        for output in &plan.outputs {
            let path = store.locate(&output.path);
            sandbox::tree::remove(&path).map_err(|source| InPlaceError::Move { path, source })?;
        }
        Ok(Some(InPlace { plan, store }))
    }

    /// Moves what is there to where outputs are taken from. No process of the build may be left.
    pub fn collect(self) -> Result<(), InPlaceError> {
        for output in &self.plan.outputs {
            let path = self.store.locate(&output.path);
            match std::fs::rename(&path, output.path.within(&self.plan.scratch.store)) {
                // Whether it should have been made is for others to say.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other.map_err(|source| InPlaceError::Move { path, source })?,
            }
        }
        Ok(())
    }
}
