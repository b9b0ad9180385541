//! How many files a build can see of the host.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::build::Job;
use crate::store::Store;

/// Store paths never change, so each is counted once.
static COUNTED: Mutex<Option<HashMap<PathBuf, u64>>> = Mutex::new(None);

/// Counts the files, directories and links of the closures that a build is shown.
pub(crate) fn count(store: &Store, job: &Job<'_>) -> u64 {
    let paths = job.known.inputs.union(&job.sandbox_closure);
    paths.map(|path| counted(store.locate(path))).sum()
}

fn counted(path: PathBuf) -> u64 {
    let known = |path: &Path| {
        let counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
        counted.as_ref().and_then(|counted| counted.get(path).copied())
    };
    if let Some(count) = known(&path) {
        return count;
    }
    // Not under the lock: a walk of a large path may take a second.
    let count = walk(&path);
    COUNTED.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default().insert(path, count);
    count
}

fn walk(top: &Path) -> u64 {
    let mut count = 1;
    let mut left = vec![top.to_path_buf()];
    while let Some(directory) = left.pop() {
        // What is no directory, or cannot be read, has nothing in it.
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            count += 1;
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left.push(entry.path());
            }
        }
    }
    count
}
