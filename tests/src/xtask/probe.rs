//! `cargo xtask probe`: what a process sees of loopbox, beside what it sees of Nix's own sandbox.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::setup;
use crate::lab::{Lab, say};
use crate::probe::known::Known;
use crate::probe::{Dumps, PAIRS};
use crate::tally::Tally;

/// How it is shown.
#[derive(Debug, Args)]
pub struct Options {
    /// Show the known differences too.
    #[arg(long)]
    all: bool,
}

/// Compares and reports.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let tally = report(&lab, options.all)?;
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a part of the tests: every kind of build in each way counts as one, and the list of what is known as
/// another.
pub fn compare(lab: &Lab) -> Result<Tally> {
    report(lab, false)
}

fn report(lab: &Lab, all: bool) -> Result<Tally> {
    say("what a process sees of loopbox and of Nix's own sandbox");
    let mut known = Known::read(lab)?;
    let dumps = Dumps::make(lab)?;
    let mut tally = Tally::default();
    for pair in &PAIRS {
        for kind in dumps.kinds() {
            let (mut unknown, mut listed) = (0, 0);
            for difference in dumps.differences(pair, kind)? {
                let reason = known.reason(&difference);
                match reason {
                    Some(_) => listed += 1,
                    None => unknown += 1,
                }
                if all || reason.is_none() {
                    println!("{difference}\n    {}", reason.unwrap_or("UNKNOWN"));
                }
            }
            let facts = dumps.facts(pair, kind)?;
            let verdict = if unknown == 0 { "ok" } else { "FAILED" };
            println!(
                "{kind} in {} ... {verdict}: {facts} facts, {listed} known differences, {unknown} others",
                pair.here
            );
            tally.add(Tally::one(unknown == 0));
        }
    }
    let stale = known.stale();
    stale.iter().for_each(|entry| println!("no longer different: {entry}"));
    tally.add(Tally::one(stale.is_empty()));
    Ok(tally)
}
