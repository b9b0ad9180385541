//! `loopbox build-hook`: what Nix runs for its setting `build-hook`.

mod execute;
mod log;

pub use execute::execute;

use crate::conditions::QuotaArguments;

/// Build what Nix offers, for its setting build-hook: for versions before 2.32, which have no external-builders
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many derivations are built at a time, by all hooks of this machine; those of Nix's setting max-jobs otherwise, or one
    /// for each processor where that is 0
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_jobs: Option<u32>,
    #[command(flatten)]
    quota: QuotaArguments,
    /// How much Nix's user wants to hear; Nix adds it, and itself leaves out what is more
    #[arg(value_name = "VERBOSITY")]
    verbosity: u32,
}
