//! `cargo xtask bench`: loopbox beside its peers.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use super::setup;
use crate::bench::inside::Job;
use crate::bench::results::Results;
use crate::bench::servers::ganesha;
use crate::bench::subjects::{Server, Stage, Workload};
use crate::bench::{machine, plot, replay, report, scaling, wire, work};
use crate::command::{command, run as run_command};
use crate::demo::Workload as Demonstration;
use crate::lab::{Lab, say};
use crate::vm::Platform;

/// Rounds of a full run.
const ROUNDS: usize = 5;
/// Rounds of the sizes of closures: what does not grow takes some hundredths of a second, and is to be told from chance.
const ROUNDS_OF_SIZES: usize = 9;
/// Rounds of counted instructions, which hardly differ: each of two servers is first in one of them.
const ROUNDS_OF_COUNTS: usize = 2;
/// Seconds that one session may take in a full run, and in a quick one: slow peers take up to a minute.
const LIMIT: u64 = 60;
const QUICK_LIMIT: u64 = 10;
/// Milliseconds for which one kind of call is counted in a full run, and in a quick one.
const LENGTH: u64 = 1000;
const QUICK_LENGTH: u64 = 300;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// One round, and little patience with slow peers.
    #[arg(long)]
    quick: bool,
    /// Write every sample to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the times beside those of the kernel's server into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Only these workloads.
    #[arg(long, value_enum, num_args = 1.., value_name = "WORKLOAD")]
    only: Vec<Workload>,
    /// Only these servers; `recording` is loopbox as it serves builds, and is measured only if it is named.
    #[arg(long, value_enum, num_args = 1.., value_name = "SERVER")]
    servers: Vec<Server>,
    /// How backends grow with the closure, and nothing else; fails if NFS grows with it.
    #[arg(long, conflicts_with_all = ["only", "servers"])]
    scaling: bool,
    /// What it costs that builds record what they ask for, and nothing else: wall time, and the server's processor time.
    #[arg(long, conflicts_with_all = ["only", "servers", "scaling"])]
    recording: bool,
    /// What the kernel with the client runs on. On the emulator, instructions are counted: of the kernel's server and of
    /// loopbox, if nobody is named.
    #[arg(long = "ground", value_enum, default_value_t, value_name = "GROUND", conflicts_with_all = ["scaling", "svg"])]
    platform: Platform,
    /// Rounds, each with all servers.
    #[arg(long)]
    rounds: Option<usize>,
}

/// Measures and reports.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    if cfg!(debug_assertions) {
        return optimised(&lab);
    }
    setup::machine(&lab)?;
    if options.scaling {
        return scale(&lab, options);
    }
    if options.servers().contains(&Server::Ganesha) {
        ganesha::bring(&lab)?;
    }
    let start = Instant::now();
    let mut results = Results::default();
    let measured = measure(&lab, options, &mut results);
    // What there is so far is shown also when something failed.
    print!("{}", report::text(&results));
    if let Some(file) = &options.json {
        let series = serde_json::to_vec_pretty(&results.series)?;
        fs::write(file, series).with_context(|| format!("cannot write {}", file.display()))?;
    }
    measured?;
    if let Some(file) = &options.svg {
        plot::save(&results, file)?;
    }
    say(&format!("{} s in all", start.elapsed().as_secs()));
    Ok(ExitCode::SUCCESS)
}

fn scale(lab: &Lab, options: &Options) -> Result<ExitCode> {
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { ROUNDS_OF_SIZES });
    let samples = scaling::run(lab, rounds)?;
    print!("{}", scaling::text(&samples));
    scaling::write(&samples, options.json.as_deref(), options.svg.as_deref())?;
    scaling::check(&samples)?;
    Ok(ExitCode::SUCCESS)
}

fn measure(lab: &Lab, options: &Options, results: &mut Results) -> Result<()> {
    let job = |stage| options.job(stage);
    if let Some(job) = job(Stage::Machine) {
        if job.workloads.iter().any(|workload| {
            matches!(workload, Workload::CompileCold | Workload::Compile | Workload::CompileLarge)
        }) {
            Demonstration::prepare(lab)?;
        }
        say(&format!("on the host a system call takes {:?}", work::system_call()));
        say("through the kernel's client, in the virtual machine");
        machine::run(lab, &job, results)?;
    }
    if let Some(job) = job(Stage::Wire) {
        say("the calls alone, over loopback");
        wire::run(lab, &job, results)?;
    }
    if let Some(job) = job(Stage::Memory) {
        say("memory");
        wire::memory::run(lab, &job, results)?;
    }
    if let Some(job) = job(Stage::Replay) {
        say("what the kernel's client asked for, over loopback");
        replay::run(lab, &job, results)?;
    }
    Ok(())
}

/// The same, by a program that was compiled as the servers are for use.
fn optimised(lab: &Lab) -> Result<ExitCode> {
    say("building the benchmark");
    run_command(
        command("cargo", ["build", "--release", "--package", "tests", "--bin", "xtask"])
            .current_dir(lab.checkout()),
    )?;
    let program = lab.checkout().join("target/release/xtask");
    let error = Command::new(&program).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

impl Options {
    fn servers(&self) -> &[Server] {
        match &self.servers[..] {
            [] if self.recording => &[Server::Loopbox, Server::Recording],
            [] if self.platform == Platform::Emulator => &Server::COUNTED,
            [] => &Server::ALL,
            named => named,
        }
    }

    /// What of all that one stage measures; none when it has nothing to measure.
    fn job(&self, stage: Stage) -> Option<Job> {
        let chosen = match &self.only[..] {
            [] if self.recording => vec![Workload::TarCold, Workload::CompileLarge],
            [] if self.platform == Platform::Emulator => Workload::COUNTED.to_vec(),
            [] => Workload::usual().collect(),
            named => named.to_vec(),
        };
        let workloads: Vec<Workload> =
            chosen.into_iter().filter(|workload| workload.stage() == stage).collect();
        if workloads.is_empty() {
            return None;
        }
        let counts = self.platform == Platform::Emulator;
        let usual = if counts { ROUNDS_OF_COUNTS } else { ROUNDS };
        let rounds = self.rounds.unwrap_or(if self.quick { 1 } else { usual });
        // Where the clock counts instructions, a second of it is short.
        let limit = if self.quick && !counts { QUICK_LIMIT } else { LIMIT };
        let length = if self.quick { QUICK_LENGTH } else { LENGTH };
        let (servers, processor, platform) = (self.servers().to_vec(), self.recording, self.platform);
        Some(Job { servers, workloads, rounds, platform, limit, length, record: None, processor })
    }
}
