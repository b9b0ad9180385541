//! What the process holds: the server runs in it, so that nothing of a connection may be left when it has ended.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to end its threads, once their connections are closed.
const SETTLE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const STEP: Duration = Duration::from_millis(2);
/// So often in a row the counts have to be the same to be taken for those of a process in which nothing ends any more.
const SAME: usize = 20;

/// Counts of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Descriptors of files and directories.
    pub files: usize,
    /// Descriptors of all else: sockets, pipes.
    pub channels: usize,
    pub threads: usize,
}

impl Resources {
    /// Those of a process in which nothing is about to end.
    pub fn settled() -> Result<Resources> {
        let mut last = Resources::now()?;
        let mut same = 0;
        while same < SAME {
            std::thread::sleep(STEP);
            let now = Resources::now()?;
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        Ok(last)
    }

    fn now() -> Result<Resources> {
        let (mut files, mut channels) = (0, 0);
        for entry in fs::read_dir("/proc/self/fd").context("cannot list descriptors")?.flatten() {
            // One that is gone already is the one of this listing, or closed meanwhile.
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            if target.is_absolute() { files += 1 } else { channels += 1 }
        }
        Ok(Resources { files, channels, threads: fs::read_dir("/proc/self/task")?.count() })
    }

    /// Waits until there are no more than these, and as many channels and threads.
    pub fn wait(limit: Resources) -> Result<()> {
        let start = Instant::now();
        loop {
            let now = Resources::now()?;
            let settled = (now.channels, now.threads) == (limit.channels, limit.threads);
            if settled && now.files <= limit.files {
                return Ok(());
            }
            if start.elapsed() > SETTLE {
                bail!("{now:?} after all connections are closed, instead of {limit:?}");
            }
            std::thread::sleep(STEP);
        }
    }
}

/// Memory in use, in bytes.
pub fn memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes =
        line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|number| number.parse().ok());
    kibibytes.map(|number: u64| number << 10).context("the kernel does not say how much memory is in use")
}
