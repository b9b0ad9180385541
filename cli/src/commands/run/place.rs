//! The temporary directory of one run: the mount point, and the host side of its scratch.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use mounter::farm;
use mounter::stale::Note;

use super::plan::Plan;

/// The name of the mount point in it. Nobody but root can look into the directory.
const MOUNT_POINT: &str = "root";

/// A directory that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct Place {
    base: PathBuf,
    mount_point: PathBuf,
    farm: PathBuf,
}

/// The directory cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the temporary directory {path:?}")]
pub struct PlaceError {
    path: PathBuf,
    source: io::Error,
}

/// A path for the directory, in TMPDIR.
pub fn unused() -> PathBuf {
    std::env::temp_dir().join(format!("loopbox-{}", std::process::id()))
}

impl Place {
    /// Makes the directory and the scratch directories that the plan has in it. The note is of all of them.
    pub fn make(plan: &Plan, note: &Note) -> Result<Place, PlaceError> {
        let make = |path: &Path| {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(|source| PlaceError { path: path.into(), source })
        };
        make(&plan.base)?;
        let mount_point = plan.base.join(MOUNT_POINT);
        let place = Place { base: plan.base.clone(), mount_point, farm: note.farm() };
        make(&place.mount_point)?;
        plan.scratch.iter().try_for_each(|scratch| make(scratch))?;
        Ok(place)
    }

    /// Where the view is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = farm::remove_around(&self.farm, &self.base, |base| fs::remove_dir_all(base)) {
            tracing::warn!("cannot remove {:?}: {error}", self.base);
        }
    }
}
