//! `cargo xtask fuzz`: mutated records for the server, mutated texts for the parser of derivations and for what reads others.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::fuzz::{Run, drv, rpc, texts, time_of_day};
use crate::lab::Lab;
use crate::tally::Tally;

/// What is tried, and for how long.
#[derive(Debug, Args)]
pub struct Options {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Only this target.
    #[arg(long, value_enum)]
    target: Option<Target>,
    /// What decides the inputs; without it the time of day.
    #[arg(long)]
    seed: Option<u64>,
}

/// What reads bytes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The server: records of calls.
    Rpc,
    /// The builder: texts of derivations.
    Drv,
    /// What reads other texts: views, declarations, descriptions of builds, policies, words.
    Texts,
}

const TARGETS: [Target; 3] = [Target::Rpc, Target::Drv, Target::Texts];

/// Fuzzes; anything that was found is a failure.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    let seed = options.seed.unwrap_or_else(time_of_day);
    let mut tally = Tally::default();
    for target in TARGETS {
        if options.target.is_none_or(|only| only == target) {
            tally.add(one(&lab, target, seed, Duration::from_secs(options.seconds))?);
        }
    }
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// All targets, for a short time each; each counts as one test.
pub fn briefly(lab: &Lab) -> Result<Tally> {
    const EACH: Duration = Duration::from_secs(5);
    let seed = time_of_day();
    TARGETS.into_iter().map(|target| one(lab, target, seed, EACH)).sum()
}

fn one(lab: &Lab, target: Target, seed: u64, length: Duration) -> Result<Tally> {
    let (name, fuzz): (_, fn(&mut Run) -> Result<()>) = match target {
        Target::Rpc => ("rpc", rpc::run),
        Target::Drv => ("drv", drv::run),
        Target::Texts => ("texts", texts::run),
    };
    println!("fuzz {name}: {} s with --seed {seed}", length.as_secs());
    let mut run = Run::new(lab, name, seed, length);
    let ended = fuzz(&mut run);
    if let Err(error) = &ended {
        println!("fuzz {name}: {error:#}");
    }
    println!("fuzz {name}: {} inputs, {} kept", run.tried, run.found);
    Ok(Tally::one(ended.is_ok() && run.found == 0 && run.tried > 0))
}
