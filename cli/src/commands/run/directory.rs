//! The temporary directory of one run: the mount point, and the host side of its scratch.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use mounter::stale::Note;

use super::plan::Plan;

/// The name of the mount point in it. On Linux nobody but root can look into the directory; on macOS everybody sees the
/// mount, which Spotlight leaves alone for its name.
const MOUNT_POINT: &str = if cfg!(target_os = "macos") { "view.noindex" } else { "root" };

/// A directory that is removed with all that is in it when this is dropped.
#[derive(Debug)]
pub struct RunDirectory<'a> {
    base: PathBuf,
    mount_point: PathBuf,
    note: &'a Note,
}

/// The directory cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the temporary directory {path:?}")]
pub struct DirectoryError {
    path: PathBuf,
    source: io::Error,
}

/// A path for the directory, in TMPDIR.
pub fn unused() -> PathBuf {
    // The profiles of macOS know paths without links only.
    let within = if cfg!(target_os = "macos") { "/private/tmp".into() } else { std::env::temp_dir() };
    within.join(mounter::unguessable("loopbox"))
}

/// Where a view is mounted in such a directory.
pub fn mount_point(base: &Path) -> PathBuf {
    base.join(MOUNT_POINT)
}

impl RunDirectory<'_> {
    /// Makes the directory and the scratch directories that the plan has in it. The note is of all of them.
    pub fn make<'a>(plan: &Plan, note: &'a Note) -> Result<RunDirectory<'a>, DirectoryError> {
        let make = |path: &Path| {
            let made = DirBuilder::new().mode(0o700).create(path);
            made.map_err(|source| DirectoryError { path: path.into(), source })
        };
        make(&plan.base)?;
        let mount_point = mount_point(&plan.base);
        let directory = RunDirectory { base: plan.base.clone(), mount_point, note };
        make(&directory.mount_point)?;
        if !plan.has_own_root() {
            // The command has to reach the mount.
            let passable = fs::set_permissions(&plan.base, Permissions::from_mode(0o711));
            passable.map_err(|source| DirectoryError { path: plan.base.clone(), source })?;
        }
        plan.scratch.iter().try_for_each(|scratch| make(scratch))?;
        Ok(directory)
    }

    /// Where the view is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }
}

impl Drop for RunDirectory<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.note.remove(&self.base) {
            tracing::warn!("cannot remove {:?}: {error}", self.base);
        }
    }
}
