//! `loopbox external-builder`: what Nix runs for its setting `external-builders`.

#[cfg(target_os = "linux")]
mod execute;

#[cfg(target_os = "linux")]
pub use execute::execute;

use sandbox::Scratches;

use crate::conditions::QuotaArguments;

/// Run a build for Nix's setting external-builders (Nix 2.32 and later)
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "read where views can be entered"))]
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Give every build the host's network: for impure derivations, which Nix does not mark as such
    #[arg(long)]
    network: bool,
    /// How /tmp and the build directory are reached: local, as this machine's own file system, or nfs, as everything else
    #[arg(long, value_name = "KIND", default_value_t, value_parser = served)]
    scratch: Scratches,
    #[command(flatten)]
    quota: QuotaArguments,
    /// Host paths for builds to see (one that ends in '?' may be missing), and last the file in which Nix describes the build
    #[arg(required = true, value_name = "TARGET[=SOURCE][?]... BUILD.JSON")]
    words: Vec<String>,
}

/// Builds are served for Nix, whatever the backends of other commands.
fn served(word: &str) -> Result<Scratches, String> {
    match word.parse::<Scratches>() {
        Ok(Scratches::Farm) => Err("there is no farm of hard links where a view is served".into()),
        parsed => parsed.map_err(|error| error.to_string()),
    }
}
