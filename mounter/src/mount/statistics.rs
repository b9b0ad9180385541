//! What the kernel counts of a mount's calls (`/proc/self/mountstats`, `nfs_show_stats` in `fs/nfs/super.c`).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::{fs, io};

use super::table::{self, unescape};

/// How many of the calls on the mount at `at` were not answered for as long as the client waits for an answer.
pub(super) fn unanswered(at: &Path) -> io::Result<u64> {
    Ok(count(&fs::read("/proc/self/mountstats")?, &table::resolve(at)))
}

/// The third number of each line below `per-op statistics` of the last mount at this place (`rpc_clnt_show_stats`).
fn count(text: &[u8], at: &Path) -> u64 {
    let mut unanswered = 0;
    let mut here = false;
    let mut calls = false;
    for line in text.split(|byte| *byte == b'\n') {
        if let Some(place) = place(line) {
            (here, calls) = (place == at.as_os_str(), false);
            if here {
                unanswered = 0;
            }
        } else if here {
            let line = String::from_utf8_lossy(line);
            calls |= line.trim() == "per-op statistics";
            let numbers = line.split_once(':').map(|(_, numbers)| numbers).filter(|_| calls);
            let number = numbers.and_then(|numbers| numbers.split_whitespace().nth(2)?.parse::<u64>().ok());
            unanswered += number.unwrap_or(0);
        }
    }
    unanswered
}

/// The mount point in a line that begins with one.
fn place(line: &[u8]) -> Option<OsString> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    match words[..] {
        [b"device", _, b"mounted", b"on", at, b"with", b"fstype", ..] => {
            Some(OsString::from_vec(unescape(at)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "device proc mounted on /proc with fstype proc
device 127.0.0.1:/x mounted on /mnt/a\\040b with fstype nfs statvers=1.1
\topts:\trw,vers=3
\tRPC iostats version: 1.1  p/v: 100003/3 (nfs)
\txprt:\ttcp 0 1 2 0 0 13 13 0 13 0 2 0 0
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t     GETATTR: 4 5 1 520 448 0 0 1 0
\t      LOOKUP: 6 9 2 784 1416 0 0 1 1

device 127.0.0.1:/y mounted on /mnt/c with fstype nfs statvers=1.1
\tper-op statistics
\t     GETATTR: 4 4 7 520 448 0 0 1 0
";

    #[test]
    fn calls_that_were_given_up_are_counted_of_this_mount_alone() {
        assert_eq!(count(TEXT.as_bytes(), Path::new("/mnt/a b")), 3);
        assert_eq!(count(TEXT.as_bytes(), Path::new("/mnt/c")), 7);
        assert_eq!(count(TEXT.as_bytes(), Path::new("/proc")), 0);
    }
}
