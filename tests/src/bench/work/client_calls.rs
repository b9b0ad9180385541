//! How many calls the kernel's client has made for a mount, as it counts them itself (`/proc/self/mountstats`).

use std::fs;
use std::ops::Sub;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The file system type that has such counts.
const KIND: &str = " with fstype nfs ";

/// Procedures that change something.
const CHANGING: [&str; 11] = [
    "SETATTR", "WRITE", "CREATE", "MKDIR", "SYMLINK", "MKNOD", "REMOVE", "RMDIR", "RENAME", "LINK", "COMMIT",
];

/// How many calls of two sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Those that only ask.
    pub asking: u64,
    /// Those that change something.
    pub changing: u64,
}

/// All calls for the mount at a path so far; none for a path where no NFS is mounted.
pub fn made(at: &Path) -> Result<Option<Calls>> {
    let text = fs::read_to_string("/proc/self/mountstats").context("the client's counts cannot be read")?;
    Ok(count(&text, &at.display().to_string()))
}

fn count(text: &str, at: &str) -> Option<Calls> {
    let mount = format!(" mounted on {at}{KIND}");
    let mut lines = text.lines().skip_while(|line| !line.contains(&mount)).skip(1).peekable();
    lines.peek()?;
    let operations = lines
        .take_while(|line| !line.starts_with("device "))
        .skip_while(|line| !line.contains("per-op statistics"))
        .skip(1);
    let mut calls = Calls::default();
    for (procedure, count) in operations.filter_map(operation) {
        if CHANGING.contains(&procedure) {
            calls.changing += count;
        } else {
            calls.asking += count;
        }
    }
    Some(calls)
}

/// A procedure, and how often a line says that it was called.
fn operation(line: &str) -> Option<(&str, u64)> {
    let (name, numbers) = line.split_once(':')?;
    Some((name.trim(), numbers.split_whitespace().next()?.parse().ok()?))
}

impl Sub for Calls {
    type Output = Calls;

    fn sub(self, before: Calls) -> Calls {
        Calls { asking: self.asking - before.asking, changing: self.changing - before.changing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
device tmpfs mounted on /mnt with fstype tmpfs
device 127.0.0.1:/a mounted on /mnt/a with fstype nfs statvers=1.1
\topts:\trw,vers=3
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t     GETATTR: 20 20 0 2000 2000 0 1 2 0
\t       WRITE: 3 3 0 2000 2000 0 1 2 0

device 127.0.0.1:/b mounted on /mnt/b with fstype nfs statvers=1.1
\tper-op statistics
\t        NULL: 7 7 0 44 24 0 0 0 0
";

    #[test]
    fn the_calls_of_one_mount_are_added_up() {
        assert_eq!(count(TEXT, "/mnt/a"), Some(Calls { asking: 21, changing: 3 }));
        assert_eq!(count(TEXT, "/mnt/b"), Some(Calls { asking: 7, changing: 0 }));
        assert_eq!(count(TEXT, "/mnt"), None);
    }
}
