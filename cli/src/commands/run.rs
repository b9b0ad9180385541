//! `loopbox run … -- CMD`: any command in a view, without Nix.

mod execute;

use std::ffi::OsString;
use std::path::PathBuf;

pub use execute::execute;

use crate::backend_arguments::BackendArguments;
use crate::conditions::ConditionArguments;
use crate::declared::DeclaredArguments;
use crate::report::ReportArguments;
use sandbox::command::Preset;

/// Words of `loopbox run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Show what most programs need of this machine. base: the system's own programs and libraries, and what these read in
    /// /etc; dev: that, toolchains in the home directory, and the current directory, where the command starts and may write;
    /// nix: the Nix store, profiles and a shell
    #[arg(long, value_name = "NAME")]
    preset: Vec<Preset>,
    /// Show what a file declares, as 'loopbox learn' writes it; further options are added
    #[arg(long, value_name = "FILE")]
    view: Vec<PathBuf>,
    #[command(flatten)]
    declared: DeclaredArguments,
    /// Where the command starts [default: /]
    #[arg(long, value_name = "DIR")]
    chdir: Option<PathBuf>,
    #[command(flatten)]
    provided: BackendArguments,
    /// Print the view and the jail as JSON and run nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    conditions: ConditionArguments,
    #[command(flatten)]
    report: ReportArguments,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}
