//! Marks of what was made whole: a directory that was emptied, or removed in part, is told from a finished one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::{Lab, remove};

/// Where marks are: outside of what they are about.
const DIRECTORY: &str = "finished";
/// How deep names are remembered; below, entries are only counted.
const DEPTH: usize = 2;

/// What something consisted of when it was finished. Some of what is made grows in use (stores do), nothing shrinks.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    names: BTreeSet<PathBuf>,
    entries: usize,
}

impl Lab {
    /// Whether `relative` was finished, and all of it seems to be there.
    pub(super) fn is_whole(&self, relative: &str) -> Result<bool> {
        let path = self.path(relative)?;
        if path.symlink_metadata().is_err() {
            return Ok(false);
        }
        // Inside the machine the host has looked already, and nothing could be mended.
        if crate::vm::is_inside() {
            return Ok(true);
        }
        let Ok(text) = fs::read(self.mark(relative)?) else { return Ok(false) };
        let Ok(mark) = serde_json::from_slice::<Mark>(&text) else { return Ok(false) };
        Ok(mark.holds(&Mark::of(&path)?))
    }

    /// Remembers what `relative` consists of.
    pub(super) fn finish(&self, relative: &str) -> Result<()> {
        let mark = self.mark(relative)?;
        let text = serde_json::to_vec(&Mark::of(&self.path(relative)?)?)?;
        fs::write(&mark, text).with_context(|| format!("cannot write {}", mark.display()))
    }

    /// Removes `relative`, which is not finished any more.
    pub(super) fn unfinish(&self, relative: &str) -> Result<()> {
        remove(&self.mark(relative)?)?;
        remove(&self.path(relative)?)
    }

    fn mark(&self, relative: &str) -> Result<PathBuf> {
        self.path(&format!("{DIRECTORY}/{}.json", relative.replace('/', "-")))
    }
}

impl Mark {
    fn of(path: &Path) -> Result<Mark> {
        let mut mark = Mark { names: BTreeSet::new(), entries: 0 };
        for entry in WalkDir::new(path).min_depth(1) {
            let entry = match entry {
                Ok(entry) => entry,
                // Somebody who uses it has removed a file of his own meanwhile.
                Err(error)
                    if error.io_error().is_some_and(|error| error.kind() == std::io::ErrorKind::NotFound) =>
                {
                    continue;
                }
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot look at {}", path.display()));
                }
            };
            mark.entries += 1;
            if entry.depth() <= DEPTH {
                mark.names.insert(entry.path().strip_prefix(path)?.to_owned());
            }
        }
        Ok(mark)
    }

    /// Whether everything that was there still is, as far as can be told.
    fn holds(&self, now: &Mark) -> bool {
        now.entries >= self.entries && self.names.is_subset(&now.names)
    }
}
