//! The directories of one session: recorded for a later run to remove, made private, and removed in the end.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use defences::Defence;

use crate::recovery::{Leftovers, RunRecord, StateDir, StateError};
use crate::safe_place::exchangeable;

/// The name of a mount point that everybody sees. Spotlight skips directories whose names end so.
const VISIBLE: &str = "view.noindex";

/// The name of a mount point in a directory that only root can enter.
const PRIVATE: &str = "mount";

/// Directories that exist for one session. Dropping it removes them.
#[derive(Debug)]
pub struct WorkDir {
    record: RunRecord,
    /// Removed in reverse order: one may lie in another.
    tops: Vec<PathBuf>,
    mount_point: PathBuf,
}

/// Which directories a session has.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    /// Top directories, made in this order.
    pub tops: Vec<TopDir>,
    /// Which of them, by its place in the list, the mount point lies in; none for sessions that mount nothing.
    pub mount_in: Option<usize>,
    /// Whether processes other than root's have to reach what is mounted: below the machine's own root (macOS).
    pub reachable: bool,
}

/// A directory at the top of a work directory.
#[derive(Clone, Debug)]
pub struct TopDir {
    /// Its host path.
    pub path: PathBuf,
    /// Whether what a killed run left there is removed first; otherwise nothing may be there.
    pub replace: bool,
    /// Private directories in it.
    pub children: Vec<PathBuf>,
}

/// The directories of a session could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkDirError {
    /// They could not be recorded for a later run to remove.
    #[error("cannot record the session's directories")]
    Record(#[from] StateError),
    /// A directory or a file could not be made.
    #[error("cannot make {path:?}")]
    Make {
        /// The directory or file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Somebody else could have root work elsewhere.
    #[error(
        "root cannot rely on the temporary directory {path:?}: others can exchange what is in {directory:?}"
    )]
    Exchangeable {
        /// TMPDIR.
        path: PathBuf,
        /// It, or a directory on the way there.
        directory: PathBuf,
    },
}

impl TopDir {
    /// A directory that does not exist yet, with nothing in it.
    #[must_use]
    pub fn new(path: PathBuf) -> TopDir {
        TopDir { path, replace: false, children: Vec::new() }
    }
}

impl WorkDir {
    /// Records the directories and makes them. Only their owner can enter them (mode 0700), but for the top directory of
    /// a mount point that others have to reach (0711).
    ///
    /// # Errors
    /// The first directory that cannot be made. Nothing is left then.
    pub fn create(state: &StateDir, layout: Layout) -> Result<WorkDir, WorkDirError> {
        let Layout { tops, mount_in, reachable } = layout;
        let holder = mount_in.and_then(|place| tops.get(place)).map(|top| top.path.clone());
        let mount_point = holder.as_deref().map(mount_point).unwrap_or_default();
        let leftovers = Leftovers {
            mount: holder.is_some().then(|| mount_point.clone()).filter(|_| cfg!(target_os = "macos")),
            temporary: tops.iter().map(|top| top.path.clone()).collect(),
        };
        let record = state.record(leftovers)?;
        let mut work_dir = WorkDir { record, tops: Vec::new(), mount_point };
        for top in tops {
            if top.replace {
                mounter::tree::remove(&top.path).map_err(while_making(&top.path))?;
            }
            make_private(&top.path)?;
            // What was there before is not ours to remove.
            work_dir.tops.push(top.path);
            top.children.iter().try_for_each(|child| make_private(child))?;
        }
        if let Some(holder) = holder {
            make_private(&work_dir.mount_point)?;
            if reachable {
                let passable = fs::set_permissions(&holder, Permissions::from_mode(0o711));
                passable.map_err(while_making(&holder))?;
            }
        }
        Ok(work_dir)
    }

    /// The empty directory for the view to be mounted on; an empty path in sessions that mount nothing.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// What a later run finds if this process dies.
    #[must_use]
    pub fn record(&self) -> &RunRecord {
        &self.record
    }

    /// The top directories.
    #[cfg(target_os = "linux")]
    pub(crate) fn tops(&self) -> &[PathBuf] {
        &self.tops
    }

    /// Leaves a top directory where it is.
    pub fn keep(&mut self, top: &Path) {
        self.tops.retain(|path| path != top);
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        for directory in self.tops.iter().rev() {
            if let Err(error) = self.record.remove(directory) {
                tracing::warn!(?directory, %error, "cannot remove a session's directory");
            }
        }
    }
}

/// The directory for what is there for a while: TMPDIR, if root may rely on it. Under sudo it may be the choice of a user, who must
/// not be able to put something else in the place of what root makes there.
///
/// # Errors
/// [`WorkDirError::Exchangeable`] for root if others could; [`WorkDirError::Make`] if there is no such directory.
pub fn temporary_directory() -> Result<PathBuf, WorkDirError> {
    // The profiles of macOS know paths without links only.
    let path = if cfg!(target_os = "macos") { "/private/tmp".into() } else { named_directory() };
    let is_roots = nix::unistd::geteuid().is_root() && Defence::SafeDirectories.stands();
    match is_roots.then(|| exchangeable(&path)).transpose().map_err(while_making(&path))?.flatten() {
        Some(directory) => Err(WorkDirError::Exchangeable { path, directory }),
        None => Ok(path),
    }
}

/// TMPDIR, from the current directory on if it is relative; `/tmp` if it is empty, too.
fn named_directory() -> PathBuf {
    path::absolute(std::env::temp_dir()).unwrap_or_else(|_| "/tmp".into())
}

/// A path for a session's directory in there.
///
/// # Errors
/// As [`temporary_directory`].
pub fn unused_directory() -> Result<PathBuf, WorkDirError> {
    Ok(temporary_directory()?.join(mounter::unguessable("loopbox")))
}

/// Where a view is mounted in a top directory. On Linux nobody but root can look into the directory; on macOS everybody
/// sees the mount.
#[must_use]
pub fn mount_point(top: &Path) -> PathBuf {
    top.join(if cfg!(target_os = "macos") { VISIBLE } else { PRIVATE })
}

/// Makes a directory that nobody else can enter.
///
/// # Errors
/// If it cannot be made, or something is there already.
pub fn make_private(path: &Path) -> Result<(), WorkDirError> {
    DirBuilder::new().mode(0o700).create(path).map_err(while_making(path))
}

/// Says what could not be made.
pub fn while_making(path: &Path) -> impl FnOnce(io::Error) -> WorkDirError {
    move |source| WorkDirError::Make { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(place: &Path) -> StateDir {
        StateDir::open(&place.join("state")).unwrap()
    }

    #[test]
    fn directories_are_private_and_gone_in_the_end_with_their_record() {
        let place = tempfile::tempdir().unwrap();
        let (one, two) = (place.path().join("one"), place.path().join("two"));
        fs::create_dir_all(one.join("left by a killed run")).unwrap();
        let tops = vec![
            TopDir { path: one.clone(), replace: true, children: vec![one.join("child")] },
            TopDir::new(two.clone()),
        ];
        let layout = Layout { tops, mount_in: Some(1), reachable: false };
        let mut work_dir = WorkDir::create(&state(place.path()), layout).unwrap();
        assert_eq!(fs::read_dir(&one).unwrap().count(), 1);
        assert_eq!(work_dir.mount_point().parent(), Some(two.as_path()));
        for directory in [&one, &two, &one.join("child"), work_dir.mount_point()] {
            assert_eq!(directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        work_dir.keep(&two);
        drop(work_dir);
        assert!(!one.exists() && two.exists());
        assert_eq!(fs::read_dir(place.path().join("state")).unwrap().count(), 0);
    }

    #[test]
    fn what_was_made_before_a_failure_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let (one, taken) = (place.path().join("one"), place.path().join("taken"));
        fs::write(&taken, "").unwrap();
        let tops = vec![TopDir::new(one.clone()), TopDir::new(taken.clone())];
        let error = WorkDir::create(&state(place.path()), Layout { tops, ..Layout::default() }).unwrap_err();
        assert!(matches!(error, WorkDirError::Make { .. }), "{error}");
        assert!(!one.exists() && taken.exists());
        assert_eq!(fs::read_dir(place.path().join("state")).unwrap().count(), 0);
    }
}
