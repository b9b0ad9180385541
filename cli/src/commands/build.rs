//! `loopbox build`: builds derivations, with what they need, each in a view of its own.

mod execute;
mod links;
mod log_arguments;
pub(super) mod progress;
pub(super) mod results;
#[cfg(target_os = "linux")]
mod through_nix;

use std::path::PathBuf;

use builder::variation::Variation;

pub use execute::execute;

use log_arguments::LogArguments;

use crate::backend_arguments::BackendArguments;
use crate::conditions::ConditionArguments;
use crate::report::ReportArguments;
use crate::targets::EvaluationArguments;

/// Build derivations and their missing inputs, each in a view of its own
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Derivations (.drv files in the store), Nix files, or installables of flakes
    #[arg(value_name = "DRV|FILE|FLAKE#ATTR", default_value = "default.nix")]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    evaluation: EvaluationArguments,
    /// Number of parallel builds [default: Nix's setting max-jobs]
    #[arg(short = 'j', long, visible_alias = "max-jobs", value_name = "N")]
    jobs: Option<usize>,
    /// Cores for each build, 0 for all [default: Nix's setting cores]
    #[arg(long, value_name = "N")]
    cores: Option<u32>,
    /// Seconds after which a build is stopped, 0 for no limit [default: Nix's setting timeout]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Seconds without output after which a build is stopped, 0 for no limit [default: Nix's setting max-silent-time]
    #[arg(long, value_name = "SECONDS")]
    max_silent_time: Option<u64>,
    /// Print the build plans and build nothing
    #[arg(long)]
    dry_run: bool,
    /// Keep the build directories of failed builds
    #[arg(short = 'K', long)]
    keep_failed: bool,
    /// Build valid outputs again and compare
    #[arg(long, conflicts_with = "repair")]
    check: bool,
    /// With --check, vary these in the second build ('loopbox check' finds out which of them matter): readdir-order[=NUMBER],
    /// times, inodes, uid, hostname, umask, build-path
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "check")]
    vary: Vec<Variation>,
    /// Build outputs that were changed or damaged again, and replace them
    #[arg(long)]
    repair: bool,
    /// Keep building what does not depend on a failed build
    #[arg(short = 'k', long)]
    keep_going: bool,
    /// Name of the symbolic links to the outputs
    #[arg(short = 'o', long, value_name = "LINK", default_value = "result")]
    out_link: PathBuf,
    /// Make no symbolic links to the outputs
    #[arg(long, visible_alias = "no-link", conflicts_with = "out_link")]
    no_out_link: bool,
    #[command(flatten)]
    shown: LogArguments,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    provided: BackendArguments,
    /// More host paths for builds to see, separated by spaces; one that ends in '?' may be missing
    #[arg(long, value_name = "TARGET[=SOURCE][?]")]
    sandbox_paths: Vec<String>,
    #[command(flatten)]
    conditions: ConditionArguments,
    #[command(flatten)]
    report: ReportArguments,
}
