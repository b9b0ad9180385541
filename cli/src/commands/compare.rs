//! `loopbox compare`: the same derivations, or the same view, in several backends side by side.

mod execute;

use std::path::PathBuf;

use sandbox::backend::BackendKind;

pub use execute::execute;

use crate::targets::EvaluationArguments;

/// Compare backends: build the same derivation with each, or walk the same view
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Derivations (.drv files in the store) or Nix files; their inputs must be valid
    #[arg(value_name = "DRV|FILE", required_unless_present = "view", conflicts_with = "view")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    evaluation: EvaluationArguments,
    /// Build nothing; walk the view that this file describes ('loopbox run --dry-run' prints one as "view")
    #[arg(long, value_name = "SPEC.json")]
    view: Option<PathBuf>,
    /// Backends; the others are compared with the first
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = BackendKind::fit())]
    backends: Vec<BackendKind>,
    /// How often each derivation is built with each backend; more than one round tells chance from the backend
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Cores for each build, 0 for all [default: Nix's setting cores]
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    /// More host paths for builds to see, separated by spaces; one that ends in '?' may be missing
    #[arg(long, value_name = "TARGET[=SOURCE][?]")]
    sandbox_paths: Vec<String>,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    /// Write a self-contained HTML report with plots to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}
