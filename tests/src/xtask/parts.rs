//! `cargo xtask parts`: what the program is compiled from, with all licences.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::lab::Lab;
use crate::parts::{self, TARGETS, bill, licences};
use crate::tally::Tally;

/// Our own copy of the Apache licence.
const APACHE: &str = "LICENSE-APACHE";
/// The files that are written, for a target.
const LICENCES: &str = "licences.txt";
const BILL: &str = "cdx.json";

/// For which systems, and where to.
#[derive(Debug, Args)]
pub struct Options {
    /// Only for this system; else for all that loopbox is made for.
    #[arg(long, value_parser = PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
    /// The directory that the files are written to.
    #[arg(long, value_name = "DIR", default_value = "target/parts")]
    to: PathBuf,
}

/// Writes two files for each system, and prints their paths.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    fs::create_dir_all(&options.to).with_context(|| format!("cannot make {}", options.to.display()))?;
    let asked = |target: &&str| options.target.as_ref().is_none_or(|only| only == target);
    for target in TARGETS.into_iter().filter(asked) {
        let (licences, bill) = both(&lab, target)?;
        for (ending, text) in [(LICENCES, licences), (BILL, bill)] {
            let path = options.to.join(format!("loopbox-{target}.{ending}"));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            println!("{}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether there is such a list for every system: one test each.
pub fn check(lab: &Lab) -> Tally {
    let one = |target| {
        let made = both(lab, target);
        made.as_ref().err().into_iter().for_each(|error| crate::lab::say(&format!("{target}: {error:#}")));
        Tally::one(made.is_ok())
    };
    TARGETS.into_iter().map(one).sum()
}

/// The licences, and the bill of materials.
fn both(lab: &Lab, target: &str) -> Result<(String, String)> {
    let apache = lab.checkout().join(APACHE);
    let apache = fs::read_to_string(&apache).with_context(|| format!("cannot read {}", apache.display()))?;
    let parts = parts::of_program(lab, target)?;
    let bill = serde_json::to_string_pretty(&bill::bill(&parts, target))?;
    Ok((licences::licences(&parts, &apache)?, bill + "\n"))
}
