//! One processor for one machine.
//!
//! The kernel runs its own code and its programs' code in different processes of the host, which hand over to each
//! other at every system call. On two processors each hand-over wakes the other one: measured here, everything in
//! the machine then took four to ten times as long as on one.

use std::fs::File;

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

const THIS_THREAD: Pid = Pid::from_raw(0);

/// The processor is taken as long as this is held, so that machines of other checkouts take others.
pub struct Processor {
    _lock: Option<Flock<File>>,
    /// Those that may be used when it is given back.
    allowed: CpuSet,
}

/// Keeps this thread, and all that it starts meanwhile, on one processor: a free one if there is any.
pub fn take() -> Result<Processor> {
    let allowed = sched_getaffinity(THIS_THREAD).context("cannot tell the processors of this process")?;
    let numbers: Vec<usize> =
        (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false)).collect();
    let free = numbers.iter().find_map(|number| Some((*number, lock(*number)?)));
    let (number, lock) = match free {
        Some((number, lock)) => (number, Some(lock)),
        None => {
            let any = std::process::id() as usize % numbers.len().max(1);
            (numbers.get(any).copied().unwrap_or_default(), None)
        }
    };
    let mut one = CpuSet::new();
    one.set(number)?;
    sched_setaffinity(THIS_THREAD, &one).with_context(|| format!("cannot stay on processor {number}"))?;
    Ok(Processor { _lock: lock, allowed })
}

impl Drop for Processor {
    fn drop(&mut self) {
        // Where it cannot be, everything goes on as it was.
        let _ = sched_setaffinity(THIS_THREAD, &self.allowed);
    }
}

fn lock(number: usize) -> Option<Flock<File>> {
    let path = std::env::temp_dir().join(format!("loopbox-vm-processor-{number}"));
    let file = File::options().create(true).truncate(false).write(true).open(path).ok()?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()
}
