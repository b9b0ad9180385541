//! `cargo xtask dist`: what people download.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::dist::{Release, empty, write_formula, write_sums};
use crate::lab::cross::{self, Target};
use crate::lab::{Lab, packages, say};

/// For which systems, and where to.
#[derive(Debug, Args)]
pub struct Options {
    /// Only for this system; else for all that loopbox is made for.
    #[arg(long, value_parser = PossibleValuesParser::new(cross::all().map(|target| target.triple)))]
    target: Option<String>,
    /// The directory that the files are put into; those of an earlier run are removed from it.
    #[arg(long, value_name = "DIR", default_value = "target/dist")]
    to: PathBuf,
    /// The repository that releases the files, for Homebrew's formula: https://HOST/OWNER/NAME. Without it there is no formula.
    #[arg(long, value_name = "URL", conflicts_with = "target")]
    repository: Option<String>,
}

/// Makes them, and prints the sums.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    packages::install()?;
    say("compiling for each system takes about three minutes");
    empty(&options.to)?;
    let to = options.to.canonicalize()?;
    let release = Release::start(lab)?;
    let asked = |target: &Target| options.target.as_ref().is_none_or(|only| only == target.triple);
    for target in cross::all().filter(asked) {
        for made in release.make(target, &to)? {
            say(&format!("made {} ({} bytes)", made.display(), made.metadata()?.len()));
        }
    }
    let sums = write_sums(&to)?;
    if let Some(repository) = &options.repository {
        let formula = write_formula(&to, repository, &sums)?;
        say(&format!("made {}", formula.display()));
    }
    print!("{sums}");
    Ok(ExitCode::SUCCESS)
}
