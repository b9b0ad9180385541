//! `loopbox build-hook`: what Nix runs for its setting `build-hook`.

mod execute;
mod log;

pub use execute::execute;

use crate::conditions::QuotaArguments;

/// Build what Nix offers, for its setting build-hook: for versions before 2.32, which have no external-builders
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Number of parallel builds of all hooks of this machine [default: Nix's setting max-jobs, or one
    /// for each processor where that is 0]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_jobs: Option<u32>,
    #[command(flatten)]
    quota: QuotaArguments,
    /// Verbosity, as Nix passes it; Nix filters the messages itself
    #[arg(value_name = "VERBOSITY")]
    verbosity: u32,
}
