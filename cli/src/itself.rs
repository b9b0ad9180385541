//! This very program, to be run again: as the supervisor of a jail, or by others.

use std::io;
use std::path::PathBuf;

/// Its path; on Linux one that leads to it whatever has become of the file since.
///
/// # Errors
/// If the system does not say.
pub fn program() -> io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}

/// Its path for others, who find another program behind the one above; without links, as it may be kept.
///
/// # Errors
/// If the system does not say, or the file is gone.
pub fn path() -> io::Result<PathBuf> {
    std::env::current_exe()?.canonicalize()
}
