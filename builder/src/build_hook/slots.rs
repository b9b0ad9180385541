//! Build slots of the machine's build hooks: as many build at a time as Nix would build itself, and some more have accepted
//! a derivation and wait. Each hook is a process of its own, so that a slot is a locked file.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Hooks that have accepted a derivation and wait for a slot, at most. What is offered besides, Nix offers again some
/// seconds later, and so it would be slow to let it keep all that cannot be built at once.
const WAITING_MAX: usize = 32;

/// How often the hook that is next looks for a free slot: little beside what the smallest build takes.
const POLL: Duration = Duration::from_millis(2);

/// The slots of one machine.
#[derive(Debug)]
pub struct HookSlots {
    directory: PathBuf,
    /// How many may build at a time.
    count: usize,
}

/// A slot of a hook that has accepted a derivation. It is free for others when this is dropped.
#[derive(Debug)]
pub struct AcceptedSlot(#[expect(dead_code, reason = "its lock is what matters")] File);

/// A slot of a hook that builds. It is free for others when this is dropped.
#[derive(Debug)]
pub struct RunningSlot(#[expect(dead_code, reason = "its lock is what matters")] File);

/// The file of a slot cannot be locked.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock a file in {directory:?}")]
pub struct SlotsError {
    directory: PathBuf,
    source: io::Error,
}

impl HookSlots {
    /// `count` builds at a time; 0 means as many as there are processors.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path, count: u32) -> Result<HookSlots, SlotsError> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count as usize,
        };
        let slots = HookSlots { directory: directory.into(), count };
        fs::create_dir_all(directory).map_err(|source| slots.error(source))?;
        Ok(slots)
    }

    /// Takes a slot for a derivation that is accepted; `None` when all are taken.
    ///
    /// # Errors
    /// When a file cannot be locked.
    pub fn accept(&self) -> Result<Option<AcceptedSlot>, SlotsError> {
        let all = (0..self.count + WAITING_MAX).map(|number| format!("accepted-{number}"));
        Ok(self.first(all)?.map(AcceptedSlot))
    }

    /// Waits for a slot to build in. Hooks that wait get theirs in whatever order the kernel gives them a lock.
    ///
    /// # Errors
    /// When a file cannot be locked.
    pub fn wait_to_build(&self, _accepted: &AcceptedSlot) -> Result<RunningSlot, SlotsError> {
        let next = self.open_file("next").map_err(|source| self.error(source))?;
        next.lock().map_err(|source| self.error(source))?;
        loop {
            if let Some(slot) = self.first((0..self.count).map(|number| format!("building-{number}")))? {
                return Ok(RunningSlot(slot));
            }
            thread::sleep(POLL);
        }
    }

    /// The first file that nobody has locked, locked.
    fn first(&self, mut names: impl Iterator<Item = String>) -> Result<Option<File>, SlotsError> {
        let taken = names.find_map(|name| self.try_lock(&name).transpose());
        taken.transpose().map_err(|source| self.error(source))
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<File>> {
        let file = self.open_file(name)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn open_file(&self, name: &str) -> io::Result<File> {
        File::options().create(true).append(true).open(self.directory.join(name))
    }

    fn error(&self, source: io::Error) -> SlotsError {
        SlotsError { directory: self.directory.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn so_many_build_at_a_time_and_some_wait() {
        let directory = tempfile::tempdir().unwrap();
        let slots = HookSlots::open(&directory.path().join("turns"), 2).unwrap();
        let accepted: Vec<AcceptedSlot> =
            (0..2 + WAITING_MAX).map(|_| slots.accept().unwrap().unwrap()).collect();
        assert!(slots.accept().unwrap().is_none());
        let first = slots.wait_to_build(&accepted[0]).unwrap();
        let _second = slots.wait_to_build(&accepted[1]).unwrap();
        let (sender, third) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(slots.wait_to_build(&accepted[2]).unwrap()).unwrap());
            assert!(third.recv_timeout(Duration::from_millis(50)).is_err(), "two build");
            drop(first);
            third.recv().unwrap();
        });
        drop(accepted);
        assert!(slots.accept().unwrap().is_some());
    }

    #[test]
    fn none_means_one_for_each_processor() {
        let directory = tempfile::tempdir().unwrap();
        assert!(HookSlots::open(directory.path(), 0).unwrap().count > 0);
        let error = HookSlots::open(Path::new("/proc/nowhere"), 1).unwrap_err();
        assert_eq!(error.to_string(), "cannot lock a file in \"/proc/nowhere\"");
    }
}
