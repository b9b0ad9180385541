//! The commands of `cargo xtask`, one file each.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub mod attacks;
pub mod bench;
pub mod book;
mod boots;
mod cases;
pub mod check_macos;
pub mod compare;
pub mod coverage;
pub mod demo;
pub mod dist;
pub mod fresh;
pub mod fuzz;
pub mod installed;
pub mod kills;
pub mod learn;
pub mod overhead;
pub mod packaging;
pub mod parity;
pub mod parts;
pub mod probe;
pub mod report;
pub mod setup;
pub mod suites;
pub mod test;
pub mod traced;
pub mod vm;

/// Set up, test and demonstrate loopbox.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Install and bring everything that the other commands need (each does its own part by itself).
    Setup,
    /// Build a graph of real C software through NFS mounts, in the virtual machine.
    Demo(demo::Options),
    /// Run every test, those in the virtual machine included.
    Test(test::Options),
    /// Run the README's commands in a minimal Debian made from nothing, with a clone of what is committed.
    Fresh(fresh::Options),
    /// Build a table of derivations by Nix's own sandbox and by loopbox: they have to come out alike.
    Parity(parity::Options),
    /// Run the outside suites (pjdfstest, fsx, dbench, fio) on tmpfs, on the kernel's NFS server and on loopbox.
    Suites(crate::suites::Options),
    /// Give mutated inputs to what reads bytes from others.
    Fuzz(fuzz::Options),
    /// Count the lines that tests on the host and in the virtual machine and the fuzzers execute.
    Coverage(coverage::Options),
    /// Measure loopbox beside its peers: the kernel's NFS server, nfs-ganesha, and others.
    Bench(bench::Options),
    /// Measure what builds that do nothing cost, by Nix's own sandbox and by loopbox.
    Overhead(overhead::Options),
    /// Attack views, builds and the daemon, with and without the defences that keep each attack from succeeding.
    Attacks(attacks::Options),
    /// Kill builds on a farm of hard links at random moments: the store has to stay as it was.
    Kills(kills::Options),
    /// Configure packages from source among decoys; their reports have to agree with strace
    Traced(traced::Options),
    /// Learn views from programs of all kinds, each of which has to work again in its view.
    Learn(learn::Options),
    /// Open the pages that loopbox writes in a browser without a window and without a network: they have to need neither.
    Report(report::Options),
    /// Compare what processes see of loopbox and of Nix's own sandbox, in the virtual machine.
    Probe(probe::Options),
    /// List what the program is compiled from: all licences, and a bill of materials (CycloneDX), for each system.
    Parts(parts::Options),
    /// Make what people download: for each system an archive with the program, packages for Debian, and the sums of all files.
    Dist(dist::Options),
    /// Install the Debian package in systems made from nothing, in the virtual machine, and use it there.
    Installed(installed::Options),
    /// Make a site of the pages in docs/, with a program that is brought, and look at its links.
    Book,
    /// Type-check, lint and link loopbox for macOS, with a toolchain that is brought.
    CheckMacos,
    /// Run a command as root in the virtual machine, in this checkout; only what it writes to $LOOPBOX_KEPT stays.
    Vm(vm::Options),
    /// A fresh root's process 1.
    #[command(name = "__fresh-enter", hide = true)]
    FreshEnter { job: String },
    /// The machine's outside.
    #[command(name = "__vm-enter", hide = true)]
    VmEnter { spec: PathBuf },
    /// The machine's process 1.
    #[command(name = "__vm-init", hide = true)]
    VmInit {
        spec: PathBuf,
        /// The kernel adds words of its own to the command line's end.
        rest: Vec<String>,
    },
    /// A command in another root, inside the machine.
    #[command(name = "__vm-in-root", hide = true)]
    VmInRoot(crate::vm::root::Options),
    /// The cases, inside the machine.
    #[command(name = "__vm-cases", hide = true)]
    VmCases(crate::cases::Options),
    /// The benchmark's part inside the machine.
    #[command(name = "__bench-inside", hide = true)]
    BenchInside { job: String },
    /// How backends grow, inside the machine.
    #[command(name = "__bench-scaling", hide = true)]
    BenchScaling { job: String },
    /// The work that is timed.
    #[command(name = "__bench-work", hide = true)]
    BenchWork(crate::bench::work::Options),
    /// A server of the benchmark's.
    #[command(name = "__bench-serve", hide = true)]
    BenchServe(crate::bench::servers::serve::Options),
    /// One side of the table, inside the machine.
    #[command(name = "__parity", hide = true)]
    ParitySide(crate::parity::side::Options),
    /// The outside suites, inside the machine.
    #[command(name = "__vm-suites", hide = true)]
    VmSuites(crate::suites::Options),
    /// What a case has another process do.
    #[command(name = "__other", hide = true)]
    Other {
        #[command(subcommand)]
        act: crate::cases::Act,
    },
    /// What a hostile program tries, inside a view.
    #[command(name = "__attempts", hide = true)]
    Attempts(crate::attempts::Target),
}

impl Arguments {
    /// Does what was asked.
    pub fn run(self) -> Result<ExitCode> {
        match self.what {
            What::Setup => setup::run().map(|()| ExitCode::SUCCESS),
            What::Demo(options) => demo::run(&options).map(|()| ExitCode::SUCCESS),
            What::Test(options) => test::run(&options),
            What::Fresh(options) => fresh::run_all(&options),
            What::FreshEnter { job } => crate::fresh::enter::main(&job),
            What::Parity(options) => parity::run(&options),
            What::Suites(options) => suites::run(&options),
            What::Fuzz(options) => fuzz::run(&options),
            What::Coverage(options) => coverage::run(&options),
            What::Bench(options) => bench::run(&options),
            What::BenchInside { job } => crate::bench::inside::main(&job),
            What::BenchScaling { job } => crate::bench::scaling::inside::main(&job),
            What::BenchWork(options) => crate::bench::work::main(&options),
            What::BenchServe(options) => crate::bench::servers::serve::main(&options),
            What::Overhead(options) => overhead::run(&options),
            What::Attacks(options) => attacks::run(&options),
            What::Kills(options) => kills::run(&options),
            What::Learn(options) => learn::run(&options),
            What::Traced(options) => traced::run(&options),
            What::Report(options) => report::run(&options),
            What::Probe(options) => probe::run(&options),
            What::Parts(options) => parts::run(&options),
            What::Dist(options) => dist::run(&options),
            What::Installed(options) => installed::run(&options),
            What::Book => book::run(),
            What::CheckMacos => check_macos::run(),
            What::Vm(options) => vm::run(&options),
            What::VmEnter { spec } => crate::vm::enter::main(&spec),
            What::VmInit { spec, .. } => crate::vm::init::main(&spec),
            What::VmInRoot(options) => crate::vm::root::main(&options),
            What::VmCases(options) => crate::cases::main(&options),
            What::ParitySide(options) => crate::parity::side::main(&options),
            What::VmSuites(options) => crate::suites::main(&options),
            What::Other { act } => crate::cases::act(&act),
            What::Attempts(target) => crate::attempts::main(&target),
        }
    }
}
