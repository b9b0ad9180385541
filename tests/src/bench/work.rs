//! The work that is timed, done by this program itself: processes cost so much in the machine that a shell's would
//! drown what the file system costs.
//!
//! The times are taken around the work alone, by the process that does it. It runs in a process of its own, so that
//! one that hangs can be given up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

pub mod client_calls;
pub mod compile;
pub mod large_file;
pub mod small_files;
pub mod tree;

use client_calls::Calls;

use super::subjects::{Workload, write_name};

/// The names in the directory that every server offers.
pub const TREE: &str = "tree";
/// The large file that is read.
pub const LARGE: &str = "large";
/// Many empty files, for those who look at a server's memory.
pub const MANY: &str = "many";
/// What may be written.
pub const SCRATCH: &str = "scratch";

/// Work that is done on one mount, from the first touch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Session {
    /// Walk the tree, twice.
    Find,
    /// Read the tree, twice.
    Tar,
    /// Make small files.
    Create,
    /// Remove them.
    Rm,
    /// Write a large file.
    Write,
    /// Read a large file.
    Read,
    /// Read pieces of it, one after the other.
    Random,
    /// Read pieces of it by eight threads.
    #[value(name = "random-8")]
    Random8,
    /// Unpack and compile a package, twice.
    Compile,
    /// Compile a large file.
    CompileLarge,
}

/// What a workload came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// How long it took.
    pub seconds: f64,
    /// The calls that the kernel's client made; none without one.
    pub calls: Option<Calls>,
}

/// What to do and where.
#[derive(Debug, Args)]
pub struct Options {
    session: Session,
    /// The directory that a server offers, mounted.
    place: PathBuf,
    /// The directory in its scratch that may be written.
    scratch: String,
}

impl Session {
    /// All of them; one that needs what another left comes behind it.
    pub const ALL: [Session; 10] = [
        Session::Find,
        Session::Tar,
        Session::Create,
        Session::Rm,
        Session::Write,
        Session::Read,
        Session::Random,
        Session::Random8,
        Session::Compile,
        Session::CompileLarge,
    ];

    /// What is measured in it.
    pub fn workloads(self) -> &'static [Workload] {
        match self {
            Session::Find => &[Workload::FindCold, Workload::FindWarm],
            Session::Tar => &[Workload::TarCold, Workload::TarWarm],
            Session::Create => &[Workload::Create],
            Session::Rm => &[Workload::Rm],
            Session::Write => &[Workload::Write],
            Session::Read => &[Workload::ReadCold],
            Session::Random => &[Workload::Random],
            Session::Random8 => &[Workload::Random8],
            Session::Compile => &[Workload::CompileCold, Workload::Compile],
            Session::CompileLarge => &[Workload::CompileLarge],
        }
    }

    /// Does the work of one of the workloads.
    fn run(workload: Workload, options: &Options) -> Result<()> {
        let Options { place, scratch: own, .. } = options;
        let scratch = &place.join(SCRATCH).join(own);
        let (tree, large) = (place.join(TREE), place.join(LARGE));
        match workload {
            Workload::FindCold | Workload::FindWarm => tree::find(&tree),
            Workload::TarCold | Workload::TarWarm => tree::tar(&tree),
            Workload::Create => small_files::create(scratch),
            Workload::Rm => small_files::remove(scratch),
            Workload::Write => large_file::write(&scratch.join(LARGE)),
            Workload::ReadCold => large_file::read(&large),
            Workload::Random => large_file::random(&large, 1),
            Workload::Random8 => large_file::random(&large, 8),
            Workload::CompileCold | Workload::Compile => {
                compile::run(&place.join(compile::ROOT), compile::ZLIB, own)
            }
            Workload::CompileLarge => compile::run(&place.join(compile::ROOT), compile::SQLITE, own),
            _ => anyhow::bail!("{workload} is no work on a mount"),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// Does it, and prints what each workload came to.
pub fn main(options: &Options) -> Result<ExitCode> {
    let mut measured = BTreeMap::new();
    for &workload in options.session.workloads() {
        let before = client_calls::made(&options.place)?;
        let start = Instant::now();
        Session::run(workload, options)?;
        let seconds = start.elapsed().as_secs_f64();
        let calls = client_calls::made(&options.place)?.zip(before).map(|(after, before)| after - before);
        measured.insert(workload, Measured { seconds, calls });
        options.tidy()?;
    }
    println!("{}", serde_json::to_string(&measured)?);
    Ok(ExitCode::SUCCESS)
}

/// What a system call costs here that does nothing.
pub fn system_call() -> Duration {
    const COUNT: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..COUNT {
        std::hint::black_box(nix::unistd::getppid());
    }
    start.elapsed() / COUNT
}

impl Options {
    /// Removes what there is no room for once for every server, or what would be in the way of a second time.
    fn tidy(&self) -> Result<()> {
        match self.session {
            Session::Write => {
                std::fs::remove_file(self.place.join(SCRATCH).join(&self.scratch).join(LARGE))?;
                Ok(())
            }
            Session::Compile | Session::CompileLarge => {
                compile::clear(&self.place.join(compile::ROOT), &self.scratch)
            }
            _ => Ok(()),
        }
    }
}
