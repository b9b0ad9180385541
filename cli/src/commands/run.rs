//! `loopbox run … -- CMD`: any command in a view, without Nix.

mod bind;
mod execute;

use std::ffi::OsString;
use std::path::PathBuf;

use bind::Bind;
pub use execute::execute;

use crate::report::ReportArguments;

/// Words of `loopbox run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Show a host file or directory, read-only; at the same path unless another is given. What changes on the host is
    /// seen within a second or when a file is opened; store paths are taken to never change
    #[arg(long, value_name = "SRC[:AT]")]
    ro: Vec<Bind>,
    /// Show a host file or directory that the command may write
    #[arg(long, value_name = "SRC[:AT]")]
    rw: Vec<Bind>,
    /// Show a path of the Nix store and all that it needs
    #[arg(long, value_name = "PATH")]
    closure: Vec<PathBuf>,
    /// Show a host program with its loader, its libraries and its interpreter; a name is looked up in PATH. They are
    /// taken not to change while the command runs
    #[arg(long, value_name = "PROGRAM")]
    with: Vec<PathBuf>,
    /// An empty directory that the command may write, gone afterwards
    #[arg(long, value_name = "AT")]
    tmpfs: Vec<PathBuf>,
    /// A variable of the environment; without a value, loopbox's own. The command has HOME=/tmp and loopbox's own PATH
    /// (as far as its directories are in the view), LANG, LANGUAGE, LC_*, TZ, TERM, COLORTERM and NO_COLOR
    #[arg(long, value_name = "NAME[=VALUE]")]
    env: Vec<OsString>,
    /// Give the command all of loopbox's environment, as bwrap does, passwords and keys in it too
    #[arg(long)]
    preserve_env: bool,
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
    #[arg(long, value_name = "NAME", default_value_t)]
    backend: sandbox::backend::Kind,
    /// Print the view and the jail as JSON and run nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    report: ReportArguments,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}
