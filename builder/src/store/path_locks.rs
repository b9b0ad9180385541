//! Locks of output paths, shared with Nix: an exclusive lock of `<path>.lock` in the store directory.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

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
    /// never wait for each other.
    ///
    /// # Errors
    /// When a lock file cannot be made.
    pub fn acquire(paths: &BTreeSet<PathBuf>) -> Result<PathLocks, LockError> {
        let mut locks = PathLocks { held: Vec::new() };
        for path in paths {
            let mut name = OsString::from(path);
            name.push(".lock");
            let path = PathBuf::from(name);
            let file = lock(&path).map_err(|source| LockError { path: path.clone(), source })?;
            locks.held.push((path, file));
        }
        Ok(locks)
    }
}

impl Drop for PathLocks {
    fn drop(&mut self) {
        for (path, mut file) in self.held.drain(..) {
            let _ = std::fs::remove_file(path);
            // Tells whoever waits for this very file that it has been unlinked.
            let _ = file.write_all(b"d");
        }
    }
}

fn lock(path: &std::path::Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        file.lock()?;
        // Who held it before may have unlinked it meanwhile, and has then written to it.
        if file.metadata()?.len() == 0 {
            return Ok(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_exclusive_and_leaves_no_file() {
        let store = tempfile::tempdir().unwrap();
        let paths = BTreeSet::from([store.path().join("a"), store.path().join("b")]);
        let first = PathLocks::acquire(&paths).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| PathLocks::acquire(&paths));
            assert!(store.path().join("a.lock").exists());
            drop(first);
            drop(second.join().unwrap().unwrap());
        });
        assert_eq!(std::fs::read_dir(store.path()).unwrap().count(), 0);
    }
}
