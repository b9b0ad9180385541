//! `loopbox check`: what a derivation's outputs depend on besides its inputs.

#[cfg(target_os = "linux")]
mod execute;

use std::path::PathBuf;

use builder::variation::Variation;

#[cfg(target_os = "linux")]
pub use execute::execute;

use crate::targets::EvaluationArguments;

/// Words of `loopbox check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Derivations (.drv files in the store), Nix files, or installables of flakes
    #[arg(value_name = "DRV|FILE|FLAKE#ATTR", default_value = "default.nix")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    evaluation: EvaluationArguments,
    /// What to vary in the second build; if its outputs differ, each variation is tried alone. Another number is another order
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = Variation::ALL)]
    vary: Vec<Variation>,
    /// Cores for each build, 0 for all [default: Nix's setting cores]
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    /// More host paths for builds to see, separated by spaces; one that ends in '?' may be missing
    #[arg(long, value_name = "TARGET[=SOURCE][?]")]
    sandbox_paths: Vec<String>,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}
