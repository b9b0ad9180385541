//! Temporary garbage collector roots of this process, in the form that every version of Nix honours.
//!
//! `<state>/temproots/<pid>` holds store paths, each ended by a NUL, and is locked by its process. The collector
//! reads the files of living processes once it holds `<state>/gc.lock`; paths are added under a shared lock of it,
//! so a collection sees all of them or has not begun.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// This process' roots. They end when it is dropped, or the process dies.
#[derive(Debug)]
pub struct TempRoots {
    path: PathBuf,
    file: Mutex<File>,
    gc_lock: File,
}

/// Why paths could not be protected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootsError {
    /// A file of Nix's state directory cannot be opened or locked.
    #[error("cannot open and lock {path:?}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Nix's daemon does not hold them either.
    #[error("cannot have Nix protect store paths from its garbage collector")]
    Served(#[source] io::Error),
    /// The roots cannot be written.
    #[error("cannot write {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
}

impl TempRoots {
    /// Makes this process' file of roots.
    ///
    /// # Errors
    /// When the state directory cannot be written.
    pub fn create(state: &Path) -> Result<TempRoots, RootsError> {
        let directory = state.join("temproots");
        let path = directory.join(std::process::id().to_string());
        let failed = |source| RootsError::Lock { path: path.clone(), source };
        std::fs::DirBuilder::new().recursive(true).mode(0o755).create(&directory).map_err(failed)?;
        let file = loop {
            // A file of this name is left from a dead process: no living one has the same number.
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            let file = open(&path).map_err(failed)?;
            file.lock().map_err(failed)?;
            // The collector may have taken the file for a dead process' before it was locked: it then has been
            // unlinked and marked.
            if file.metadata().map_err(failed)?.len() == 0 {
                break file;
            }
        };
        let gc_path = state.join("gc.lock");
        let gc_lock = open(&gc_path).map_err(|source| RootsError::Lock { path: gc_path, source })?;
        Ok(TempRoots { path, file: Mutex::new(file), gc_lock })
    }

    /// Adds paths; waits while a collection is running.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, paths: impl Iterator<Item = PathBuf>) -> Result<(), RootsError> {
        let mut text = Vec::new();
        for path in paths {
            text.extend_from_slice(path.as_os_str().as_bytes());
            text.push(0);
        }
        let failed = |source| RootsError::Write { path: self.path.clone(), source };
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.gc_lock.lock_shared().map_err(failed)?;
        let written = file.write_all(&text).map_err(failed);
        self.gc_lock.unlock().map_err(failed)?;
        written
    }
}

impl Drop for TempRoots {
    fn drop(&mut self) {
        // Left behind, it is only one more file that the collector removes.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_written_with_a_nul_after_each_and_the_file_is_locked() {
        let state = tempfile::tempdir().unwrap();
        let roots = TempRoots::create(state.path()).unwrap();
        roots.add(["/nix/store/a".into(), "/nix/store/b".into()].into_iter()).unwrap();
        roots.add(["/nix/store/c".into()].into_iter()).unwrap();
        let path = state.path().join("temproots").join(std::process::id().to_string());
        assert_eq!(std::fs::read(&path).unwrap(), b"/nix/store/a\0/nix/store/b\0/nix/store/c\0");
        let other = File::open(&path).unwrap();
        assert!(matches!(other.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
        drop(roots);
        assert!(!path.exists());
    }

    #[test]
    fn adding_waits_for_a_collection_to_end() {
        let state = tempfile::tempdir().unwrap();
        let roots = TempRoots::create(state.path()).unwrap();
        let collector = open(&state.path().join("gc.lock")).unwrap();
        collector.lock().unwrap();
        std::thread::scope(|scope| {
            let adding = scope.spawn(|| roots.add(["/nix/store/a".into()].into_iter()));
            assert_eq!(std::fs::read(&roots.path).unwrap(), b"");
            collector.unlock().unwrap();
            adding.join().unwrap().unwrap();
        });
        assert_eq!(std::fs::read(&roots.path).unwrap(), b"/nix/store/a\0");
    }
}
