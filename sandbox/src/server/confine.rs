//! What a server's process gives up before it reads the first byte of a client.

#[cfg(target_os = "linux")]
mod calls;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod macos;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests;

use std::io;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(not(target_os = "linux"))]
use macos as system;
use nfs_server::view::{Credentials, ViewSpec};

use super::Rights;

/// A privilege that could not be given up.
#[derive(Debug, thiserror::Error)]
#[error("cannot {step}")]
pub struct ConfineError {
    /// What failed.
    pub step: &'static str,
    /// The I/O error.
    pub source: io::Error,
}

/// What root may and others may not, by the names of capabilities(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capability {
    /// Give files away.
    #[serde(rename = "CAP_CHOWN")]
    Chown,
    /// Read, write and search whatever the modes say.
    #[serde(rename = "CAP_DAC_OVERRIDE")]
    DacOverride,
    /// Change modes and times of others' files.
    #[serde(rename = "CAP_FOWNER")]
    Fowner,
}

/// Who a process is once it is confined, where that is somebody else.
pub(super) fn becomes(rights: &Rights) -> Option<Credentials> {
    system::becomes(&rights.user)
}

/// Gives up everything that serving a view with these rights does not take, for good. What is open stays open; of the
/// process's threads the calling one alone gives up all, and it has to be the only one.
///
/// # Errors
/// What could not be given up.
pub fn confine(rights: &Rights, view: &ViewSpec) -> Result<(), ConfineError> {
    let files = Files::of(view)?;
    become_user(rights)?;
    files.restrict()
}

/// The process becomes the user that these rights are of, with no others.
pub(super) fn become_user(rights: &Rights) -> Result<(), ConfineError> {
    system::become_user(rights)
}

/// The files of a view, by names that the process can still look up.
pub(super) struct Files(system::Files);

impl Files {
    /// Finds them.
    pub fn of(view: &ViewSpec) -> Result<Files, ConfineError> {
        system::Files::of(view).map(Files)
    }

    /// Keeps the process from all other files, and from everything that serving these does not take.
    pub fn restrict(self) -> Result<(), ConfineError> {
        self.0.restrict()
    }
}

/// Whether this kernel can keep a process from all files but those of a view.
#[cfg(target_os = "linux")]
#[must_use]
pub fn can_restrict_files() -> bool {
    files::can_move_files()
}

/// What each of the caller's processes may use: the server, which works for all of those in a view, would end by that, or fail
/// what a program may do that has raised its own. (On Linux its user's processes, too, are those of the build.)
const OF_EACH_PROCESS: &[Resource] = &[
    Resource::RLIMIT_AS,
    Resource::RLIMIT_CPU,
    Resource::RLIMIT_DATA,
    Resource::RLIMIT_FSIZE,
    #[cfg(target_os = "linux")]
    Resource::RLIMIT_NPROC,
];

/// Lifts the limits that are meant for the caller's programs, as far as the process may; takes as many descriptors as it may
/// have, for the server's caches, which fit what there is. Leaves no core dump.
pub(super) fn raise_limits() {
    for resource in OF_EACH_PROCESS {
        if setrlimit(*resource, RLIM_INFINITY, RLIM_INFINITY).is_err() {
            raise(*resource);
        }
    }
    raise(Resource::RLIMIT_NOFILE);
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
}

/// To what everybody may raise it.
fn raise(resource: Resource) {
    if let Ok((_, hard)) = getrlimit(resource) {
        let _ = setrlimit(resource, hard, hard);
    }
}
