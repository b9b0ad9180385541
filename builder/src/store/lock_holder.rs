//! Who has a lock, as far as the system says.

use std::fmt;

/// A process that has a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Its number.
    pub pid: u32,
    /// The name of its program, if it lives.
    pub program: Option<String>,
}

#[cfg(target_os = "linux")]
impl LockHolder {
    /// Who has a flock(2) lock of the file that is there now (`/proc/locks`, proc_locks(5)).
    #[must_use]
    pub fn of(file: &std::path::Path) -> Option<LockHolder> {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(file).ok()?;
        let locks = std::fs::read_to_string("/proc/locks").ok()?;
        let (major, minor) = (nix::sys::stat::major(metadata.dev()), nix::sys::stat::minor(metadata.dev()));
        let pid = holder(&locks, &format!("{major:02x}:{minor:02x}:{}", metadata.ino()))?;
        let program = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
        Some(LockHolder { pid, program: program.map(|name| name.trim_end().to_owned()) })
    }
}

#[cfg(not(target_os = "linux"))]
impl LockHolder {
    /// The system does not say.
    #[must_use]
    pub fn of(_file: &std::path::Path) -> Option<LockHolder> {
        None
    }
}

/// The number in the line of a file's lock; lines with an arrow are of those who wait for it. Processes that this one
/// cannot see have no number.
#[cfg(target_os = "linux")]
fn holder(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        [_, "FLOCK", _, _, pid, at, ..] if *at == file => pid.parse().ok().filter(|pid| *pid > 0),
        _ => None,
    })
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.program {
            Some(program) => write!(f, "{program}, process {}", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{LockHolder, holder};

    #[test]
    fn the_holder_of_a_lock_is_told_from_those_who_wait_and_from_others() {
        let locks = "1: POSIX  ADVISORY  WRITE 10 00:1d:7 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 11 00:1d:8 0 EOF\n\
            3: FLOCK  ADVISORY  WRITE 12 00:1d:7 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 13 00:1d:7 0 EOF\n\
            4: FLOCK  ADVISORY  WRITE 0 00:1d:9 0 EOF\n";
        assert_eq!(holder(locks, "00:1d:7"), Some(12));
        assert_eq!((holder(locks, "00:1d:9"), holder(locks, "00:1d:6")), (None, None));
    }

    #[test]
    fn this_process_is_found_by_a_lock_of_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(LockHolder::of(file.path()), None);
        file.as_file().lock().unwrap();
        assert_eq!(LockHolder::of(file.path()).map(|holder| holder.pid), Some(std::process::id()));
    }
}
