//! Processes of a jail whose loopbox and supervisor were killed at once: killed too, but waiting for a dead server.
//!
//! The kernel kills the first process inside with its supervisor, and all others with it. One that waits for the
//! server, or has something to write back, ends only with its calls, and nobody aborts these any more.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use super::table;

/// How long a sweep waits for them: what was not written back is given up a batch at a time, within some hundred
/// milliseconds. A later sweep finds those that take longer.
const LIMIT: Duration = Duration::from_secs(10);
/// Between two looks: a process can start one more call each time before it notices that it was killed.
const INTERVAL: Duration = Duration::from_millis(50);

/// Aborts the calls to a dead server until no process sees its mount any more.
pub fn end(device: &str) {
    let start = Instant::now();
    while let Some((pid, at)) = find_namespace_with(OsStr::new(device)) {
        if start.elapsed() > LIMIT {
            tracing::warn!("process {pid} still waits for a server that is gone");
            return;
        }
        abort_calls(pid, at, device.into());
        thread::sleep(INTERVAL);
    }
}

/// One process that has it mounted, and where: all of a jail see the same mounts, but their supervisor has it below the
/// machine's own root.
fn find_namespace_with(device: &OsStr) -> Option<(u32, PathBuf)> {
    let numbers = fs::read_dir("/proc").ok()?.flatten();
    let mut numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.find_map(|pid| mount_of(pid, device).map(|at| (pid, at)))
}

/// Where a process sees the mount. One that ended meanwhile sees nothing.
fn mount_of(pid: u32, device: &OsStr) -> Option<PathBuf> {
    let mounts = table::read_of(pid).unwrap_or_default();
    mounts.into_iter().find(|entry| entry.kind == "nfs" && entry.device == device).map(|entry| entry.at)
}

/// Aborts the calls on the mount at `at` in the process's mount namespace (umount2(2), `MNT_FORCE`). A thread of its own
/// enters the namespace, and is not waited for: the kernel may have it write back first, which the next one aborts.
///
/// Never on the root of this process's own namespace, nor on any that is not the mount: to unmount a root is to make its
/// file system read-only (`do_umount_root` in `fs/namespace.c`), and that may be the machine's.
fn abort_calls(pid: u32, at: PathBuf, device: OsString) {
    thread::spawn(move || {
        // Whatever fails, the next look finds the process again, or finds it gone.
        let Ok(namespace) = File::open(format!("/proc/{pid}/ns/mnt")) else { return };
        if at == Path::new("/") && is_own(&namespace) {
            return;
        }
        // The process may have ended before its namespace was opened, and its number be another's.
        if mount_of(pid, &device).as_ref() != Some(&at) {
            return;
        }
        if unshare(CloneFlags::CLONE_FS).and_then(|()| setns(namespace, CloneFlags::CLONE_NEWNS)).is_ok() {
            let _ = umount2(&at, MntFlags::MNT_FORCE);
        }
    });
}

/// Whether a mount namespace is the one that this process is in; one that cannot be told apart is taken for it.
fn is_own(namespace: &File) -> bool {
    let (Ok(one), Ok(own)) = (namespace.metadata(), fs::metadata("/proc/self/ns/mnt")) else { return true };
    (one.dev(), one.ino()) == (own.dev(), own.ino())
}
