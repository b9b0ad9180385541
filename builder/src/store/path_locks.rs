//! Locks of output paths, shared with Nix: an exclusive lock of `<path>.lock` in the store directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::LockHolder;
use sandbox::cancel::Cancel;

/// Locked paths. Dropping it removes the lock files.
#[derive(Debug)]
pub struct PathLocks {
    held: Vec<(PathBuf, File)>,
}

/// Why a path could not be locked.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock {path:?}")]
pub struct LockError {
    path: PathBuf,
    source: io::Error,
}

impl PathLocks {
    /// Locks paths, waiting for those that another process has. Always in the same order, so that two processes
    /// never wait for each other. `None` when it is cancelled. `waiting` is told of each path that takes long to get.
    ///
    /// # Errors
    /// When a lock file cannot be made.
    pub fn acquire(
        paths: &BTreeSet<PathBuf>,
        cancel: &Cancel,
        waiting: impl Fn(&Path, Option<&LockHolder>),
    ) -> Result<Option<PathLocks>, LockError> {
        let mut locks = PathLocks { held: Vec::new() };
        for locked in paths {
            let path = lock_file(locked);
            let waits = || waiting(locked, LockHolder::of(&path).as_ref());
            let locked = cancel.until(|| try_lock(&path), waits);
            match locked.map_err(|source| LockError { path: path.clone(), source })? {
                Some(file) => locks.held.push((path, file)),
                None => return Ok(None),
            }
        }
        Ok(Some(locks))
    }

    /// Locks paths unless another process has one of them.
    ///
    /// # Errors
    /// When a lock file cannot be made.
    pub fn try_acquire(paths: &BTreeSet<PathBuf>) -> Result<Option<PathLocks>, LockError> {
        let mut locks = PathLocks { held: Vec::new() };
        for path in paths.iter().map(lock_file) {
            match try_lock(&path).map_err(|source| LockError { path: path.clone(), source })? {
                Some(file) => locks.held.push((path, file)),
                None => return Ok(None),
            }
        }
        Ok(Some(locks))
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        for (path, mut file) in self.held.drain(..) {
            // One that stays is in nobody's way, and the garbage collector removes it.
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(%error, "cannot remove {path:?}");
            }
            // Tells whoever waits for this very file that it has been unlinked.
            let _ = file.write_all(b"d");
        }
    }
}

fn lock_file(path: &PathBuf) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = open(path)?;
        match file.try_lock() {
            Ok(()) if is_fresh(&file)? => return Ok(Some(file)),
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Who held a lock file before may have unlinked it meanwhile, and has then written to it.
fn is_fresh(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.len() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_and_leaves_no_file() {
        let store = tempfile::tempdir().unwrap();
        let paths = BTreeSet::from([store.path().join("a"), store.path().join("b")]);
        let cancel = Cancel::default();
        let acquire = || PathLocks::acquire(&paths, &cancel, |_, _| ()).unwrap();
        let first = acquire();
        assert!(PathLocks::try_acquire(&paths).unwrap().is_none());
        std::thread::scope(|scope| {
            let second = scope.spawn(acquire);
            assert!(store.path().join("a.lock").exists());
            drop(first);
            let second = second.join().unwrap();
            assert!(second.is_some());
            let waiting = scope.spawn(acquire);
            cancel.cancel();
            assert!(waiting.join().unwrap().is_none());
        });
        assert_eq!(std::fs::read_dir(store.path()).unwrap().count(), 0);
    }

    #[test]
    fn who_waits_long_is_told_for_what_and_for_whom() {
        let store = tempfile::tempdir().unwrap();
        let path = store.path().join("a");
        let paths = BTreeSet::from([path.clone()]);
        let held = PathLocks::try_acquire(&paths).unwrap();
        let (cancel, told) = (Cancel::default(), std::sync::Mutex::new(Vec::new()));
        let waiting = |path: &Path, holder: Option<&LockHolder>| {
            told.lock().unwrap().push((path.to_owned(), holder.cloned()));
            cancel.cancel();
        };
        assert!(PathLocks::acquire(&paths, &cancel, waiting).unwrap().is_none());
        let told = told.into_inner().unwrap();
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].0, path);
        if cfg!(target_os = "linux") {
            assert_eq!(told[0].1.as_ref().map(|holder| holder.pid), Some(std::process::id()));
        }
        drop(held);
    }
}
