//! How many files a build can see of the host.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use sandbox::tree::{DirStack, Entry, LeaveOutcome, Mounts};

use crate::build::BuildRequest;
use crate::store::Store;

/// Store paths never change, so each is counted once.
static COUNTED: Mutex<Option<HashMap<PathBuf, u64>>> = Mutex::new(None);

/// Counts the files, directories and links of the closures that a build is shown.
pub(crate) fn count(store: &Store, request: &BuildRequest<'_>) -> u64 {
    let paths = request.known.inputs.union(&request.sandbox_closure);
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

/// What cannot be read counts as having nothing in it.
fn walk(top: &Path) -> u64 {
    let (Some(holder), Some(name)) = (top.parent(), top.file_name()) else { return 1 };
    let Ok(mut stack) = DirStack::open(holder, Mounts::Enter) else { return 1 };
    let (mut count, mut next) = (1, Some(name.to_owned()));
    // For each directory on the way down, those in it that have not been entered.
    let mut levels: Vec<Vec<OsString>> = Vec::new();
    loop {
        if let Some(name) = next.take()
            && stack.enter(&name).is_ok()
        {
            let mut below = Vec::new();
            while let Some(Ok(Entry { name, is_directory })) = stack.next_entry() {
                count += 1;
                // Whether it is one, entering it tells.
                below.extend((is_directory != Some(false)).then_some(name));
            }
            levels.push(below);
        }
        match levels.last_mut().map(Vec::pop) {
            None => return count,
            Some(Some(name)) => next = Some(name),
            Some(None) => {
                levels.pop();
                if !matches!(stack.leave(), Ok(LeaveOutcome::Directory { .. })) {
                    return count;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_counts_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().join("top");
        std::fs::create_dir_all(top.join("one/two")).unwrap();
        std::fs::create_dir_all(top.join("three")).unwrap();
        for file in ["file", "one/two/file", "three/file"] {
            std::fs::write(top.join(file), "").unwrap();
        }
        std::os::unix::fs::symlink("one", top.join("link")).unwrap();
        assert_eq!(walk(&top), 8);
        assert_eq!(walk(&top.join("file")), 1);
        assert_eq!(walk(&top.join("link")), 1);
    }
}
