//! Outside suites, inside the virtual machine: each on tmpfs, on the kernel's own NFS server and on loopbox, with the
//! same file system behind.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::cases::{Behind, Ground};
use crate::lab::Lab;
use crate::lab::suites::Tools;
use crate::tally::Tally;

mod dbench;
mod fio;
mod fsx;
mod limited;
mod pjdfstest;
mod table;

use table::Table;

/// A program that somebody else wrote to find faults in file systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// What POSIX says of every call.
    Pjdfstest,
    /// Random reads, writes, truncations and mappings of one file, each read checked.
    Fsx,
    /// A file server's day.
    Dbench,
    /// Random and sequential writes that are verified.
    Fio,
}

/// Which, on what, and for how long.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Only these suites.
    #[arg(long, value_enum, default_values_t = [Suite::Pjdfstest, Suite::Fsx, Suite::Dbench, Suite::Fio])]
    pub only: Vec<Suite>,
    /// What they run on.
    #[arg(long, value_enum, default_values_t = [Ground::Tmpfs, Ground::Knfsd, Ground::Loopbox])]
    pub on: Vec<Ground>,
    /// What is behind the servers.
    #[arg(long, value_enum, default_value_t)]
    pub behind: Behind,
    /// How many operations fsx does in each of its two ways.
    #[arg(long, default_value_t = 100_000)]
    pub ops: u64,
    /// What decides fsx's operations; without it the time of day.
    #[arg(long)]
    pub seed: Option<u64>,
    /// How much fio writes each time, in MiB.
    #[arg(long, default_value_t = 128)]
    pub size: u32,
    /// How long dbench runs, in seconds.
    #[arg(long, default_value_t = 20)]
    pub seconds: u32,
}

/// One suite on one ground.
struct Run<'a> {
    tools: &'a Tools,
    options: &'a Options,
    seed: u64,
    ground: Ground,
    /// A new directory on the ground.
    directory: &'a Path,
}

/// One line of the table: what it is, and what came of it here.
struct Outcome {
    what: String,
    result: String,
    tally: Tally,
}

impl Options {
    /// The words that say the same to another process.
    pub fn words(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: String| words.extend([name.into(), value.into()]);
        for suite in &self.only {
            add("--only", word(suite));
        }
        for ground in &self.on {
            add("--on", word(ground));
        }
        add("--behind", word(&self.behind));
        add("--ops", self.ops.to_string());
        if let Some(seed) = self.seed {
            add("--seed", seed.to_string());
        }
        add("--size", self.size.to_string());
        add("--seconds", self.seconds.to_string());
        words
    }
}

/// A value as it is written on a command line.
fn word(value: &impl ValueEnum) -> String {
    value.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned())
}

/// Runs them, prints a table and how many tests passed and failed.
pub fn main(options: &Options) -> Result<ExitCode> {
    crate::vm::only_inside("the suites")?;
    let tools = Tools::bring(&Lab::open()?)?;
    let seed = options.seed.unwrap_or_else(crate::fuzz::time_of_day);
    let mut table = Table::new(&options.on);
    let mut tally = Tally::default();
    for &ground in &options.on {
        let held = ground.prepare(options.behind)?;
        for &suite in &options.only {
            let directory = held.directory().join(format!("{suite:?}"));
            fs::create_dir(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
            let run = Run { tools: &tools, options, seed, ground, directory: &directory };
            let start = Instant::now();
            let outcomes = match suite {
                Suite::Pjdfstest => pjdfstest::run(&run)?,
                Suite::Fsx => fsx::run(&run)?,
                Suite::Dbench => dbench::run(&run)?,
                Suite::Fio => fio::run(&run)?,
            };
            println!("{ground} {suite:?}: {:.1} s", start.elapsed().as_secs_f32());
            for outcome in outcomes {
                tally.add(outcome.tally);
                table.set(&outcome.what, ground, outcome.result);
            }
        }
        held.clean_up()?;
    }
    println!("\n{table}\n{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
