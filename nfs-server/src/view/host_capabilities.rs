//! What a host and its file systems can do, where hosts differ.

use std::hint::black_box;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use super::silly::SillyNames;
use crate::limits::CHEAP_SYSCALL_MAX;

/// What the view does by itself because its host cannot, or does in another way because that is cheaper there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostCapabilities {
    /// Whether named pipes and sockets can be made by name in an open directory. Where they cannot, files
    /// [stand in](super::is_special_file_marker) for them in scratches.
    pub special_files: bool,
    /// Whether names that differ in case only are two names. When it is not said, each file system is asked.
    pub case_sensitive: Option<bool>,
    /// Whether the host takes names for one that Unicode takes for equal, though their bytes differ.
    pub normalizes_names: bool,
    /// Whether a system call costs little besides what it does, as with most kernels. Where it does not, many names of
    /// a fixed graft are asked for at once, if the host has a call for that: on Linux, io_uring(7).
    pub cheap_syscalls: bool,
    /// How this system's NFS client names deleted files that are still open.
    pub silly_names: SillyNames,
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
            silly_names: if cfg!(target_os = "linux") { SillyNames::Linux } else { SillyNames::Bsd },
        }
    }
}

/// Measured once in a process.
static SYSCALLS_ARE_CHEAP: LazyLock<bool> = LazyLock::new(|| system_call() <= CHEAP_SYSCALL_MAX);

/// What a system call takes that does nothing. The shortest time counts: others may have been interrupted.
fn system_call() -> Duration {
    const TIMES: usize = 8;
    const CALLS: u32 = 8;
    let measure = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(nix::unistd::getppid());
        }
        start.elapsed() / CALLS
    };
    (0..TIMES).map(|_| measure()).min().unwrap_or_default()
}
