//! `cargo xtask parts`: what the program is compiled from, with all licences.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::lab::cross::{self, Target};
use crate::lab::{Lab, say};
use crate::parts::{self, Documents};
use crate::tally::Tally;

/// The files that are written, for a target.
const LICENCES: &str = "licences.txt";
const BILL: &str = "cdx.json";

/// For which systems, and where to.
#[derive(Debug, Args)]
pub struct Options {
    /// Only for this system; else for all that loopbox is made for.
    #[arg(long, value_parser = PossibleValuesParser::new(cross::all().map(|target| target.triple)))]
    target: Option<String>,
    /// The directory that the files are written to.
    #[arg(long, value_name = "DIR", default_value = "target/parts")]
    to: PathBuf,
}

/// Writes two files for each system, and prints their paths.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    fs::create_dir_all(&options.to).with_context(|| format!("cannot make {}", options.to.display()))?;
    let asked = |target: &Target| options.target.as_ref().is_none_or(|only| only == target.triple);
    for target in cross::all().filter(asked) {
        let Documents { licences, bill } = parts::documents(&lab, target)?;
        for (ending, text) in [(LICENCES, licences), (BILL, bill)] {
            let path = options.to.join(format!("loopbox-{}.{ending}", target.triple));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there is such a list for every system: one test each.
pub fn check(lab: &Lab) -> Tally {
    let one = |target: Target| {
        let made = parts::documents(lab, target);
        made.as_ref().err().into_iter().for_each(|error| say(&format!("{}: {error:#}", target.triple)));
        Tally::one(made.is_ok())
    };
    cross::all().map(one).sum()
}
