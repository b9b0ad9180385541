//! The entry mode of this machine. Linux has one; a Mac's is found by probes, and its user is told what it does not hold
//! back.

use std::path::Path;

use sandbox::entry::MacHost;
#[cfg(target_os = "macos")]
use sandbox::jail::EntryMode;
use sandbox::recovery::StateDir;

use crate::error::CommandError;
#[cfg(target_os = "macos")]
use crate::output;

/// The entry mode of this machine; none on Linux, where there is nothing to choose.
#[cfg(not(target_os = "macos"))]
pub fn host(_state: &StateDir, _path: &Path, _loopbox: &Path) -> Result<Option<MacHost>, CommandError> {
    Ok(None)
}

/// The entry mode of this machine. What it does not hold back is said each time: nobody reads documents before a build.
#[cfg(target_os = "macos")]
pub fn host(state: &StateDir, path: &Path, loopbox: &Path) -> Result<Option<MacHost>, CommandError> {
    let host = sandbox::entry::probe::host(state, path, loopbox)?;
    if !host.mode.limitations().is_empty() {
        let (mode, best) = (host.mode, EntryMode::Chroot);
        output::tell(format_args!("note: views are entered by {mode} here; compared with {best}:"));
        mode.limitations().iter().for_each(|loss| output::tell(format_args!("note: - {loss}")));
    }
    Ok(Some(host))
}

/// An entry mode for plans that are only looked at.
pub fn simplest() -> Option<MacHost> {
    let mode = sandbox::jail::EntryMode::Chroot;
    cfg!(target_os = "macos").then_some(MacHost { mode, image: None })
}
