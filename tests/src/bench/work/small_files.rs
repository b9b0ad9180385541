//! Five thousand small files, as an archive that is unpacked makes them, and their removal.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Directories that the files lie in.
const DIRECTORIES: usize = 5;
/// Files in each.
const FILES: usize = 1000;
/// Bytes in each file.
const SIZE: usize = 2000;

/// Makes them.
pub fn create(scratch: &Path) -> Result<()> {
    let contents = [b'x'; SIZE];
    for directory in directories(scratch) {
        fs::create_dir(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
        for number in 0..FILES {
            let path = directory.join(format!("file-{number}"));
            let mut file =
                File::create_new(&path).with_context(|| format!("cannot create {}", path.display()))?;
            file.write_all(&contents)?;
        }
    }
    Ok(())
}

/// Removes them, as `rm -r` does: what a listing names is removed.
pub fn remove(scratch: &Path) -> Result<()> {
    let mut removed = 0;
    for directory in directories(scratch) {
        let mut names = Vec::new();
        for entry in
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
        {
            names.push(entry?.path());
        }
        for path in &names {
            fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::remove_dir(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        removed += names.len();
    }
    if removed != DIRECTORIES * FILES {
        bail!("{removed} files were there to remove, not {}", DIRECTORIES * FILES);
    }
    Ok(())
}

fn directories(scratch: &Path) -> impl Iterator<Item = PathBuf> {
    (0..DIRECTORIES).map(|number| scratch.join(format!("small-{number}")))
}
