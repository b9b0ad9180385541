//! Errors of the program's own: what it was told wrong, and why it did not run what it was told.

use std::path::PathBuf;

use sandbox::program::ProgramError;

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub hints: Vec<String>,
}

/// Why a command did not run in its view.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Nix runs such a builder as a build user, who may not enter another root; as root, nothing holds it in one.
    #[cfg(not(target_os = "linux"))]
    #[error("Nix's external builders cannot be held in a view on macOS; nothing was run")]
    NoExternal,
    /// There a process has no root directory, network or processes of its own that could be lent.
    #[cfg(not(target_os = "linux"))]
    #[error("there is no daemon on macOS yet; nothing was started")]
    NoDaemon,
    /// What tells builds apart is of Linux: mounts of one process, and what a jail of its own is given.
    #[cfg(not(target_os = "linux"))]
    #[error("what a build depends on cannot be checked on macOS yet; nothing was built")]
    NoCheck,
    /// Nix runs external builders as a build user, where there are some.
    #[cfg(target_os = "linux")]
    #[error(
        "Nix runs this as the build user '{user}', who may mount nothing, and loopbox's daemon does not listen"
    )]
    ExternalNotRoot {
        /// The build user.
        user: String,
    },
    /// There is no descriptor for the log.
    #[error("Nix starts this, for its setting 'build-hook', with its log at descriptor 4, which is not open")]
    NoHook(#[source] std::io::Error),
    /// Mounting, namespaces and users need root.
    #[error("this needs root: nobody else may mount file systems, or see and change what is root's")]
    NotRoot,
    /// Something that the command needs is not in the view.
    #[error("{0:?} cannot start in the view")]
    CannotStart(PathBuf, #[source] ProgramError),
}
