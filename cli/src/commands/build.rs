//! `loopbox build`: builds derivations, with what they need, each in a view of its own.

pub(super) mod answer;
mod execute;
mod links;
pub(super) mod progress;
#[cfg(target_os = "linux")]
mod through_nix;

use std::path::PathBuf;

pub use execute::execute;

/// Build a derivation, and whatever it needs, in views of their own
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Derivations' files (.drv) in the store, or Nix files
    #[arg(value_name = "DRV|FILE", default_value = "default.nix")]
    targets: Vec<PathBuf>,
    /// Attribute of the Nix files to build
    #[arg(short = 'A', long = "attr", value_name = "ATTR")]
    attribute: Option<String>,
    /// Builds at the same time [default: Nix's setting max-jobs]
    #[arg(short = 'j', long, value_name = "N")]
    jobs: Option<usize>,
    /// Cores for each build, 0 for all [default: Nix's setting cores]
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    /// Seconds that each build may take, 0 for any number [default: Nix's setting timeout]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Seconds in which a build may write nothing, 0 for any number [default: Nix's setting max-silent-time]
    #[arg(long, value_name = "SECONDS")]
    max_silent_time: Option<u64>,
    /// Print the plans of the builds, and build nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the directories of failed builds
    #[arg(short = 'K', long)]
    keep_failed: bool,
    /// Build what is there already once more, and compare
    #[arg(long, conflicts_with = "repair")]
    check: bool,
    /// Build what is there but has been changed or damaged once more, and put it in its place
    #[arg(long)]
    repair: bool,
    /// After a failure, build all that does not need what failed
    #[arg(short = 'k', long)]
    keep_going: bool,
    /// Where to put links to the outputs
    #[arg(short = 'o', long, value_name = "LINK", default_value = "result")]
    out_link: PathBuf,
    /// Make no links to the outputs
    #[arg(long, conflicts_with = "out_link")]
    no_out_link: bool,
    /// Do not show what builds write, unless they fail
    #[arg(short = 'Q', long)]
    no_build_output: bool,
    /// Print what was built, and how, as JSON
    #[arg(long)]
    json: bool,
    /// How the view becomes a directory: nfs, hardlink or bind
    #[arg(long, value_name = "NAME", default_value_t)]
    backend: builder::backend::Kind,
    /// More host paths for builds to see, separated by spaces; one that ends in '?' may be missing
    #[arg(long, value_name = "TARGET[=SOURCE][?]")]
    sandbox_paths: Vec<String>,
}
