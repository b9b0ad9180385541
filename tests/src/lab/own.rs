//! This very program, under a name that stays: a build meanwhile may replace the file that it was started from.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::{Lab, remove};

/// Where copies are.
const DIRECTORY: &str = "own";

/// Copies that are kept though nobody runs them: a few states of the source are worked on by turns.
const KEPT: usize = 4;

/// Held until this process ends: a copy that a machine of its runs is not another's to remove.
static IN_USE: OnceLock<Flock<File>> = OnceLock::new();

impl Lab {
    /// The same lab for who is not `xtask` himself, as a program of tests: machines are started by that.
    #[must_use]
    pub fn with_xtask(self, program: &str) -> Lab {
        Lab { xtask: Some(program.into()), ..self }
    }

    /// A copy of this program that stays while this process lives.
    pub fn own_program(&self) -> Result<PathBuf> {
        let running = self.xtask.as_deref().unwrap_or(Path::new("/proc/self/exe"));
        let file = fs::metadata(running).context("cannot find this program's own file")?;
        let name = format!("{DIRECTORY}/{}-{}", file.ino(), file.mtime());
        let _alone = self.lock(DIRECTORY)?;
        let copy = self.path(&name)?;
        if !copy.exists() {
            self.make(&name, "keeping a copy of this program", |copy| {
                fs::copy(running, copy).map(drop).context("cannot copy this program")
            })?;
        }
        if IN_USE.get().is_none() {
            let file = File::open(&copy).with_context(|| format!("cannot open {}", copy.display()))?;
            let used = Flock::lock(file, FlockArg::LockShared).map_err(|(_, errno)| errno);
            // Nobody else sets it meanwhile.
            let _ = IN_USE.set(used.with_context(|| format!("cannot lock {}", copy.display()))?);
            prune(&self.directory(DIRECTORY)?, KEPT)?;
        }
        Ok(copy)
    }
}

/// Removes all files but the newest and those that somebody uses.
fn prune(directory: &Path, kept: usize) -> Result<()> {
    let listed = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut copies = Vec::new();
    for entry in listed {
        let entry = entry?;
        copies.push((entry.metadata()?.modified()?, entry.path()));
    }
    copies.sort();
    copies.truncate(copies.len().saturating_sub(kept));
    for (_, copy) in copies {
        let file = File::open(&copy).with_context(|| format!("cannot open {}", copy.display()))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(_unused) => remove(&copy)?,
            Err((_, Errno::EWOULDBLOCK)) => {}
            Err((_, errno)) => return Err(errno).with_context(|| format!("cannot lock {}", copy.display())),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_newest_copies_stay_and_old_ones_that_are_in_use() {
        let place = tempfile::tempdir().unwrap();
        let open = |name: &str| File::create(place.path().join(name)).unwrap();
        for (age, name) in ["newest", "new", "old", "older", "oldest"].into_iter().enumerate() {
            let made = SystemTime::now() - Duration::from_secs(60 * age as u64);
            open(name).set_modified(made).unwrap();
        }
        let oldest = File::open(place.path().join("oldest")).unwrap();
        let _used = Flock::lock(oldest, FlockArg::LockShared).map_err(|(_, errno)| errno).unwrap();
        prune(place.path(), 2).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["new", "newest", "oldest"]);
    }
}
