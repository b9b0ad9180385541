//! The work that is timed, done by this program itself: processes cost so much in the machine that a shell's would
//! drown what the file system costs.
//!
//! The times are taken around the work alone, by the process that does it. It runs in a process of its own, so that
//! one that hangs can be given up.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

pub mod large_file;
pub mod small_files;
pub mod tree;

use super::subjects::{Workload, write_name};

/// The names in the directory that every server offers.
pub const TREE: &str = "tree";
/// The large file that is read.
pub const LARGE: &str = "large";
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
    pub const ALL: [Session; 8] = [
        Session::Find,
        Session::Tar,
        Session::Create,
        Session::Rm,
        Session::Write,
        Session::Read,
        Session::Random,
        Session::Random8,
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
        }
    }

    /// Does the work of one of the workloads.
    fn run(self, workload: Workload, place: &Path, scratch: &Path) -> Result<()> {
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
            _ => anyhow::bail!("{workload} is no work on a mount"),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// Does it, and prints the seconds that each workload took.
pub fn main(options: &Options) -> Result<ExitCode> {
    let mut seconds = BTreeMap::new();
    let scratch = options.place.join(SCRATCH).join(&options.scratch);
    for &workload in options.session.workloads() {
        let start = Instant::now();
        options.session.run(workload, &options.place, &scratch)?;
        seconds.insert(workload, start.elapsed().as_secs_f64());
    }
    if options.session == Session::Write {
        // There is no room for one of every server.
        std::fs::remove_file(scratch.join(LARGE))?;
    }
    println!("{}", serde_json::to_string(&seconds)?);
    Ok(ExitCode::SUCCESS)
}
