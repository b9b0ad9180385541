//! `loopbox learn -- CMD`: which view a command needs.

mod closure;
mod execute;

use std::ffi::OsString;
use std::path::PathBuf;

pub use execute::execute;

use crate::declared::DeclaredArguments;

/// Words of `loopbox learn`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Write the view to a file, for 'loopbox run --view FILE'; without it, print the same as flags of 'loopbox run'
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Add what the command needs to the view in a file
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    update: Option<PathBuf>,
    /// Show a path and everything below it even if it is a secret, such as ~/.ssh
    #[arg(long, value_name = "PATH")]
    allow: Vec<PathBuf>,
    #[command(flatten)]
    declared: DeclaredArguments,
    /// Where the command starts, now and in the view [default: the current directory]
    #[arg(long, value_name = "DIR")]
    chdir: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}
