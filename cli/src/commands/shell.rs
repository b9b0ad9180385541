//! `loopbox shell`: a person at work where a derivation is built, or would be.

mod execute;

use std::ffi::OsString;
use std::path::PathBuf;

pub use execute::execute;

use crate::backend_arguments::BackendArguments;
use crate::conditions::ConditionArguments;
use crate::targets::EvaluationArguments;

/// Arguments of `loopbox shell`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A derivation (.drv file in the store), a Nix file, or an installable of a flake
    #[arg(value_name = "DRV|FILE|FLAKE#ATTR", default_value = "default.nix")]
    target: PathBuf,
    #[command(flatten)]
    evaluation: EvaluationArguments,
    /// Use the build directory that a failed build left with --keep-failed
    #[arg(long, value_name = "DIR")]
    keep_dir: Option<PathBuf>,
    /// Run this shell command instead of an interactive shell
    #[arg(long, value_name = "LINE", conflicts_with = "command")]
    run: Option<String>,
    /// Cores that the build may use, 0 for all [default: Nix's setting cores]
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    #[command(flatten)]
    provided: BackendArguments,
    /// More host paths for the build to see, separated by spaces; one that ends in '?' may be missing
    #[arg(long, value_name = "TARGET[=SOURCE][?]")]
    sandbox_paths: Vec<String>,
    #[command(flatten)]
    conditions: ConditionArguments,
    /// A command and its arguments to run instead of an interactive shell
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
}
