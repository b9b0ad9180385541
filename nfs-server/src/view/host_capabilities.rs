//! What a host supports, where hosts differ.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use crate::limits::CHEAP_SYSCALL_MAX;

/// What the host supports, so that each way can be tested on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCapabilities {
    /// mkfifoat and mknodat for sockets. Without them, [marked files](super::is_special_file_marker) take their place in
    /// scratches.
    pub special_files: bool,
    /// Whether file names are case-sensitive; `None` to ask each file system.
    pub case_sensitive: Option<bool>,
    /// Whether file names are insensitive to Unicode normalization.
    pub normalizes_names: bool,
    /// Whether system calls are fast. Where they are not, names of a fixed graft are stat'ed in batches with io_uring(7), if
    /// the kernel has it.
    pub cheap_syscalls: bool,
}

impl Default for HostCapabilities {
    /// Those of this system. On macOS mknod(2) makes devices only, a socket's name comes from bind(2), which like
    /// mkfifo(2) takes a path that somebody could lead elsewhere meanwhile.
    fn default() -> HostCapabilities {
        HostCapabilities {
            special_files: cfg!(target_os = "linux"),
            case_sensitive: None,
            normalizes_names: cfg!(target_os = "macos"),
            cheap_syscalls: *SYSCALLS_ARE_CHEAP,
        }
    }
}

/// Measured once in a process.
static SYSCALLS_ARE_CHEAP: LazyLock<bool> = LazyLock::new(|| system_call() <= CHEAP_SYSCALL_MAX);

/// The duration of a trivial system call: the shortest measured, as others may have been interrupted. Each server measures, so
/// it takes few calls.
fn system_call() -> Duration {
    const TIMES: usize = 3;
    const CALLS: u32 = 4;
    let measure = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(nix::unistd::getppid());
        }
        start.elapsed() / CALLS
    };
    (0..TIMES).map(|_| measure()).min().unwrap_or_default()
}
