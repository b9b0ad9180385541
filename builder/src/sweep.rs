//! Outputs that a run was building when it died: moved into the store and not registered, with their lock files.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::store::{LockError, PathLocks, Store, StoreError};
use crate::store_path::StorePath;

/// What a list's name ends in.
const EXTENSION: &str = "outputs";

/// A list of outputs that are being built. Dropping it says that they are registered or gone.
#[derive(Debug)]
pub(crate) struct Pending {
    file: PathBuf,
}

/// Why leftover outputs were not removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The lists could not be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The list or the directory they are in.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The outputs could not be locked.
    #[error("cannot lock the outputs that a killed run left behind")]
    Lock(#[from] LockError),
    /// The store did not say which of them are valid.
    #[error("cannot query the store for the outputs that a killed run left behind")]
    Store(#[from] StoreError),
    /// An output could not be removed.
    #[error("cannot remove {path:?}, which a killed run left behind")]
    Remove {
        /// The output.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl Pending {
    /// Writes the list, before the outputs are locked and until they are not any more: lock files are left too.
    pub fn write(state: &Path, outputs: &BTreeSet<StorePath>) -> io::Result<Pending> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let pending = Pending { file: state.join(format!("{}-{number}.{EXTENSION}", std::process::id())) };
        pending.write_again(outputs)?;
        Ok(pending)
    }

    /// The same once the outputs are locked: until then a sweep takes the list for a killed run's.
    pub fn write_again(&self, outputs: &BTreeSet<StorePath>) -> io::Result<()> {
        // Written aside and renamed, so that a sweep never reads half a list.
        let aside = self.file.with_extension(format!("{EXTENSION}.new"));
        std::fs::write(&aside, outputs.iter().map(|path| format!("{path}\n")).collect::<String>())?;
        std::fs::rename(&aside, &self.file)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = ?self.file, %error, "cannot remove a list of outputs");
        }
    }
}

/// Removes the outputs that killed runs left in the store without registering them, and returns them. Those that are
/// locked belong to a run that lives.
///
/// # Errors
/// The first thing that went wrong; a later sweep tries again.
pub fn sweep(state: &Path, store: &Store) -> Result<Vec<PathBuf>, SweepError> {
    let mut removed = Vec::new();
    for file in lists(state)? {
        let text = std::fs::read_to_string(&file)
            .map_err(|source| SweepError::Read { path: file.clone(), source })?;
        let outputs: BTreeSet<StorePath> =
            text.lines().filter_map(|line| StorePath::new(line).ok()).collect();
        let places = outputs.iter().map(|path| store.locate(path)).collect();
        let Some(locks) = PathLocks::try_acquire(&places)? else { continue };
        let there =
            outputs.into_iter().filter(|path| store.locate(path).symlink_metadata().is_ok()).collect();
        for path in store.invalid(&there)? {
            let path = store.locate(&path);
            sandbox::tree::remove(&path)
                .map_err(|source| SweepError::Remove { path: path.clone(), source })?;
            removed.push(path);
        }
        // While the list is there, the next sweep removes the lock files too.
        drop(locks);
        drop(Pending { file });
    }
    Ok(removed)
}

fn lists(state: &Path) -> Result<Vec<PathBuf>, SweepError> {
    let failed = |source| SweepError::Read { path: state.into(), source };
    let entries = match std::fs::read_dir(state) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let files = entries.map(|entry| entry.map(|entry| entry.path()));
    let files: Vec<PathBuf> = files.collect::<io::Result<_>>().map_err(failed)?;
    Ok(files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == EXTENSION))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_of_a_living_run_are_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let store = Store::at(place.path().join("store"), place.path().join("var"), place.path().join("log"));
        std::fs::create_dir(store.directory()).unwrap();
        let output = StorePath::new("71fc7s32zl20dc955bhghy5dvalm7ndz-busybox").unwrap();
        let locks = PathLocks::try_acquire(&BTreeSet::from([store.locate(&output)])).unwrap();
        let pending = Pending::write(place.path(), &BTreeSet::from([output.clone()])).unwrap();
        std::fs::write(store.locate(&output), "").unwrap();
        assert!(sweep(place.path(), &store).unwrap().is_empty());
        assert!(store.locate(&output).exists());
        drop(pending);
        drop(locks);
        assert!(lists(place.path()).unwrap().is_empty());
    }
}
