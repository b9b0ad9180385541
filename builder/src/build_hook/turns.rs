//! Whose turn it is: as many hooks build at a time as Nix would build itself, and some more wait for that. Each is a process
//! of its own, so that locked files are what they agree by.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Hooks that have accepted something and wait for their turn, at most. What is offered besides, Nix offers again some
/// seconds later, and so it would be slow to let it keep all that cannot be built at once.
const WAITING_MAX: usize = 32;

/// How often the one that is next looks whether it can begin: little beside what the smallest build takes.
const POLL: Duration = Duration::from_millis(2);

/// The hooks of one machine.
#[derive(Debug)]
pub struct Turns {
    directory: PathBuf,
    /// How many may build at a time.
    count: usize,
}

/// A place among those who have accepted something. It is free for others when this is dropped.
#[derive(Debug)]
pub struct Seat(#[expect(dead_code, reason = "its lock is what matters")] File);

/// A place among those who build. It is free for others when this is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "its lock is what matters")] File);

/// The files that hooks agree by cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot lock a file in {directory:?}")]
pub struct TurnsError {
    directory: PathBuf,
    source: io::Error,
}

impl Turns {
    /// So many at a time; none means as many as there are processors.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: &Path, count: u32) -> Result<Turns, TurnsError> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count as usize,
        };
        let turns = Turns { directory: directory.into(), count };
        fs::create_dir_all(directory).map_err(|source| turns.error(source))?;
        Ok(turns)
    }

    /// Takes a seat; `None` when all are taken.
    ///
    /// # Errors
    /// When a file cannot be locked.
    pub fn seat(&self) -> Result<Option<Seat>, TurnsError> {
        let all = (0..self.count + WAITING_MAX).map(|number| format!("accepted-{number}"));
        Ok(self.first(all)?.map(Seat))
    }

    /// Waits for a turn. Those who wait have theirs in whatever order the kernel gives them a lock.
    ///
    /// # Errors
    /// When a file cannot be locked.
    pub fn wait(&self, _seat: &Seat) -> Result<Turn, TurnsError> {
        let next = self.open_file("next").map_err(|source| self.error(source))?;
        next.lock().map_err(|source| self.error(source))?;
        loop {
            if let Some(turn) = self.first((0..self.count).map(|number| format!("building-{number}")))? {
                return Ok(Turn(turn));
            }
            thread::sleep(POLL);
        }
    }

    /// The first file that nobody has locked, locked.
    fn first(&self, mut names: impl Iterator<Item = String>) -> Result<Option<File>, TurnsError> {
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

    fn error(&self, source: io::Error) -> TurnsError {
        TurnsError { directory: self.directory.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn so_many_build_at_a_time_and_some_wait() {
        let directory = tempfile::tempdir().unwrap();
        let turns = Turns::open(&directory.path().join("turns"), 2).unwrap();
        let seats: Vec<Seat> = (0..2 + WAITING_MAX).map(|_| turns.seat().unwrap().unwrap()).collect();
        assert!(turns.seat().unwrap().is_none());
        let first = turns.wait(&seats[0]).unwrap();
        let _second = turns.wait(&seats[1]).unwrap();
        let (sender, third) = mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(|| sender.send(turns.wait(&seats[2]).unwrap()).unwrap());
            assert!(third.recv_timeout(Duration::from_millis(50)).is_err(), "two build");
            drop(first);
            third.recv().unwrap();
        });
        drop(seats);
        assert!(turns.seat().unwrap().is_some());
    }

    #[test]
    fn none_means_one_for_each_processor() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Turns::open(directory.path(), 0).unwrap().count > 0);
        let error = Turns::open(Path::new("/proc/nowhere"), 1).unwrap_err();
        assert_eq!(error.to_string(), "cannot lock a file in \"/proc/nowhere\"");
    }
}
