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
    /// Nix runs external builders as a build user, where there are some.
    #[cfg(target_os = "linux")]
    #[error("Nix runs this as the build user '{user}', and only root may mount file systems")]
    ExternalNotRoot {
        /// The build user.
        user: String,
    },
    /// Mounting, namespaces and users need root.
    #[error("this needs root: nobody else may mount file systems")]
    NotRoot,
    /// Something that the command needs is not in the view.
    #[error("{0:?} cannot start in the view")]
    CannotStart(PathBuf, #[source] ProgramError),
}
