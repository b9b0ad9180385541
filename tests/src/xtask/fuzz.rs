//! `cargo xtask fuzz`: mutated records and sequences of calls for the server, mutated texts for the parser of derivations and for
//! what reads others.

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::fuzz::{Run, calls, drv, rpc, texts, time_of_day};
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
    /// Processes for each target at a time, with this seed and those after it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    jobs: u64,
}

/// What reads bytes from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Target {
    /// The server: records of calls.
    Rpc,
    /// The server: sequences of calls over several connections, compared with a model.
    Calls,
    /// The builder: texts of derivations.
    Drv,
    /// What reads other texts: views, declarations, descriptions of builds, policies, words.
    Texts,
}

const TARGETS: [Target; 4] = [Target::Rpc, Target::Calls, Target::Drv, Target::Texts];

/// Fuzzes; anything that was found is a failure.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    let seed = options.seed.unwrap_or_else(time_of_day);
    let mut tally = Tally::default();
    for target in TARGETS {
        if options.target.is_none_or(|only| only == target) {
            tally.add(match options.jobs {
                1 => one(&lab, target, seed, Duration::from_secs(options.seconds))?,
                jobs => several(target, seed, options.seconds, jobs)?,
            });
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

/// One target in processes of its own, since each counts what its process holds.
fn several(target: Target, seed: u64, seconds: u64, jobs: u64) -> Result<Tally> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let start = |seed: u64| -> Result<Child> {
        let mut command = Command::new(&program);
        command.args(["fuzz", "--target", target.name(), "--seconds", &seconds.to_string()]);
        command.args(["--seed", &seed.to_string()]).stdin(Stdio::null());
        command.spawn().context("cannot start another process")
    };
    let children = (0..jobs).map(|job| start(seed.wrapping_add(job))).collect::<Result<Vec<_>>>()?;
    children.into_iter().map(|mut child| Ok(Tally::one(child.wait()?.success()))).sum()
}

fn one(lab: &Lab, target: Target, seed: u64, length: Duration) -> Result<Tally> {
    let (name, fuzz) = (target.name(), target.fuzzer());
    println!("fuzz {name}: {} s with --seed {seed}", length.as_secs());
    let mut run = Run::new(lab, name, seed, length);
    let ended = fuzz(&mut run);
    if let Err(error) = &ended {
        println!("fuzz {name}: {error:#}");
    }
    println!("fuzz {name}: {} inputs, {} kept", run.tried, run.found);
    Ok(Tally::one(ended.is_ok() && run.found == 0 && run.tried > 0))
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Target::Rpc => "rpc",
            Target::Calls => "calls",
            Target::Drv => "drv",
            Target::Texts => "texts",
        }
    }

    fn fuzzer(self) -> fn(&mut Run) -> Result<()> {
        match self {
            Target::Rpc => rpc::run,
            Target::Calls => calls::run,
            Target::Drv => drv::run,
            Target::Texts => texts::run,
        }
    }
}
