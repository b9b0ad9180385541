//! Identifies a process by pid and start time together, since pids are reused.

#[cfg(target_os = "linux")]
use std::fs::File;
#[cfg(target_os = "linux")]
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

#[cfg(not(target_os = "linux"))]
use crate::jail::start_time;

/// What such a text usually fits in, in bytes.
#[cfg(target_os = "linux")]
const TABLE: usize = 4 << 10;

/// The most that is read of one, in bytes.
#[cfg(target_os = "linux")]
const TABLES_MAX: u64 = 1 << 20;

/// Identifies a process until the machine is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pid: u32,
    /// When it started, in the unit of its system (Linux: clock ticks since boot, proc_pid_stat(5); macOS:
    /// microseconds, proc_pidinfo).
    started: u64,
}

impl Process {
    /// This process.
    #[must_use]
    pub fn current() -> Process {
        let pid = std::process::id();
        Process { pid, started: start_time(pid).unwrap_or(0) }
    }

    /// The one that has a number now; none if there is none.
    #[must_use]
    pub fn of(pid: u32) -> Option<Process> {
        Some(Process { pid, started: start_time(pid)? })
    }

    /// Its number.
    #[must_use]
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    #[must_use]
    pub fn is_alive(self) -> bool {
        start_time(self.pid) == Some(self.started)
    }
}

#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<u64> {
    let stat = proc_table(pid, "stat").ok()?;
    // The second field is the program's name in parentheses, and may itself hold spaces and parentheses. The
    // state follows it; a zombie has ended.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    // The start time is the 22nd field, the state the third.
    fields.nth(18)?.parse().ok()
}

/// A text about a process, by its name in `/proc/PID` (proc(5)). These have no size by which std could read one at once: it would ask
/// for 32 bytes, then for twice as many, and so on.
///
/// # Errors
/// Those of open(2) and read(2): the process has ended, say.
#[cfg(target_os = "linux")]
pub fn proc_table(pid: u32, name: &str) -> io::Result<String> {
    let mut text = String::with_capacity(TABLE);
    File::open(format!("/proc/{pid}/{name}"))?.take(TABLES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a process has this number, be it the one that is meant or a later one.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok())
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn this_process_is_alive() {
        assert!(Process::current().is_alive());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_with_the_number_but_another_start_is_dead() {
        let current = Process::current();
        assert!(!Process { started: current.started + 1, ..current }.is_alive());
    }

    #[test]
    fn a_process_that_ended_and_was_not_waited_for_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let process = Process { pid: child.id(), started: super::start_time(child.id()).unwrap_or(0) };
        child.wait().unwrap();
        assert!(!process.is_alive());
    }
}
