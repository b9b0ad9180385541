//! `loopbox run … -- CMD`: any command in a view, without Nix.

mod bind;
#[cfg(target_os = "linux")]
mod defaults;
#[cfg(target_os = "linux")]
mod execute;
#[cfg(target_os = "linux")]
mod place;
#[cfg(target_os = "linux")]
mod plan;

use std::ffi::OsString;
use std::path::PathBuf;

use builder::program::Trouble;

use bind::Bind;
#[cfg(target_os = "linux")]
pub use execute::execute;

/// Words of `loopbox run`.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "read where views can be entered"))]
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Show a host file or directory, read-only; at the same path unless another is given
    #[arg(long, value_name = "SRC[:AT]")]
    ro: Vec<Bind>,
    /// Show a host file or directory that the command may write
    #[arg(long, value_name = "SRC[:AT]")]
    rw: Vec<Bind>,
    /// Show a path of the Nix store and all that it needs
    #[arg(long, value_name = "PATH")]
    closure: Vec<PathBuf>,
    /// Show a host program with its loader, its libraries and its interpreter; a name is looked up in PATH
    #[arg(long, value_name = "PROGRAM")]
    with: Vec<PathBuf>,
    /// An empty directory that the command may write, gone afterwards
    #[arg(long, value_name = "AT")]
    tmpfs: Vec<PathBuf>,
    /// A variable of the environment; without a value, loopbox's own
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Where the command starts
    #[arg(long, value_name = "DIR", default_value = "/")]
    chdir: PathBuf,
    /// User to run as; without it, the one who called sudo, or else whoever calls
    #[arg(long)]
    uid: Option<u32>,
    /// Group to run as
    #[arg(long)]
    gid: Option<u32>,
    /// Let the command use this machine's network
    #[arg(long)]
    net: bool,
    /// Name of the machine that the command sees
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    hostname: String,
    /// How the view becomes a directory: nfs, hardlink or bind
    #[cfg(target_os = "linux")]
    #[arg(long, value_name = "NAME", default_value_t)]
    backend: builder::backend::Kind,
    /// Print the view and the jail as JSON and run nothing
    #[arg(long)]
    dry_run: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Why a command did not run in its view.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "found where views can be entered"))]
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no jail on this system.
    #[cfg(not(target_os = "linux"))]
    #[error("entering a view is not built for this system yet — nothing was run")]
    NoView,
    /// Mounting, namespaces and users need root.
    #[error("this needs root: nobody else may mount file systems")]
    NotRoot,
    /// The command is in no directory of its PATH.
    #[error("{0:?} is in no directory of the PATH in the view")]
    NotInPath(String),
    /// The command does not exist.
    #[error("{0:?} does not exist in the view")]
    NoProgram(PathBuf),
    /// Something that the command needs is not in the view.
    #[error("{0:?} cannot start in the view")]
    CannotStart(PathBuf, #[source] Trouble),
}
