//! The cases that run inside the virtual machine, as root, many in one boot.
//!
//! To add one, write a function in the file of the system call that it is about and name it in that file's table.
//! A `carry` case gets a directory and runs alike on tmpfs, on the kernel's own NFS server and on loopbox, so that a
//! wrong case can be told from a wrong server.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::tally::Tally;

pub(crate) mod attacks;
mod backends;
mod behind;
mod carry;
mod clean;
mod graph;
mod ground;
mod hide;
mod hold;
pub(crate) mod installed;
mod loopbox;
mod machines;
mod nix;
mod other;
mod place;
mod program;
pub(crate) mod programs;
mod pty;
mod runner;
mod shell;
pub(crate) mod sources;
mod verify;
mod wait;

pub use behind::Behind;
pub use ground::Ground;
pub(crate) use other::{Act, main as act};
pub use place::Place;

/// One behaviour: its name says it in a few words, its function panics when it is not so.
#[derive(Clone, Copy)]
pub struct Case {
    /// The file and function.
    pub name: &'static str,
    /// What it does.
    pub run: fn(&Place),
}

impl Case {
    /// Its name from the kind of case on.
    fn short_name(&self) -> &'static str {
        self.name.trim_start_matches("tests::cases::")
    }
}

/// A table of cases from the names of functions in the same file.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        /// The cases of this file.
        pub const CASES: &[crate::cases::Case] = &[
            $(crate::cases::Case { name: concat!(module_path!(), "::", stringify!($name)), run: $name }),*
        ];
    };
}
use cases;

/// A set of cases that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Group {
    /// What a build does with files.
    Carry,
    /// What a person meets in the program.
    Program,
    /// What is left of runs that were ended or killed.
    Clean,
    /// What answers nothing for more than a minute.
    Wait,
    /// What a build is not shown.
    Hide,
    /// What a hostile program cannot do.
    Hold,
    /// Attacks with and without what keeps them from succeeding.
    Attacks,
    /// A person at work inside a build's view.
    Shell,
    /// Every-day uses of Nix.
    Nix,
    /// What loopbox tries by itself on a machine.
    Verify,
    /// The same in several backends.
    Backends,
    /// The demonstration's graph as a whole.
    Graph,
    /// The same graph, built by other machines.
    Machines,
    /// Packages from source among decoys, which takes long.
    Sources,
    /// Programs of all kinds, in views that were learnt from them.
    Programs,
    /// The Debian package, in systems of its own.
    Installed,
}

impl Group {
    /// A case that takes longer hangs: most take less than a minute in the machine.
    fn limit(self) -> Duration {
        let more = if self == Group::Clean { clean::build::time_for_more() } else { Duration::ZERO };
        let seconds = match self {
            Group::Sources => 3600,
            Group::Graph | Group::Machines => 800,
            _ => 240,
        };
        more + Duration::from_secs(seconds)
    }
}

/// Which cases, and on what.
#[derive(Debug, Args)]
pub struct Options {
    /// Which set.
    group: Group,
    /// What the cases' directories are on.
    #[arg(long, value_enum, default_values_t = [Ground::Loopbox])]
    on: Vec<Ground>,
    /// What is behind the servers.
    #[arg(long, value_enum, default_value_t)]
    behind: Behind,
    /// Only cases whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// Runs them and prints how many passed and failed.
pub fn main(options: &Options) -> Result<ExitCode> {
    crate::vm::only_inside("the cases")?;
    let cases: Vec<Case> = match options.group {
        Group::Carry => carry::cases(),
        Group::Program => program::cases(),
        Group::Clean => clean::cases(),
        Group::Wait => wait::cases(),
        Group::Hide => hide::cases(),
        Group::Hold => hold::cases(),
        Group::Attacks => attacks::cases(),
        Group::Shell => shell::cases(),
        Group::Nix => nix::cases(),
        Group::Verify => verify::CASES.to_vec(),
        Group::Backends => backends::cases(),
        Group::Graph => graph::CASES.to_vec(),
        Group::Machines => machines::CASES.to_vec(),
        Group::Sources => sources::cases(),
        Group::Programs => programs::CASES.to_vec(),
        Group::Installed => installed::CASES.to_vec(),
    };
    let wanted = |case: &Case| options.filter.as_ref().is_none_or(|part| case.name.contains(part.as_str()));
    let cases: Vec<Case> = cases.into_iter().filter(wanted).collect();
    let mut tally = Tally::default();
    for &ground in &options.on {
        let held = ground.prepare(options.behind)?;
        runner::run(&cases, ground, held.directory(), options.group.limit(), &mut tally)?;
        held.clean_up()?;
    }
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_difference_is_of_a_case_that_exists() {
        let names: Vec<&str> = carry::cases().iter().map(Case::short_name).collect();
        for entry in crate::differences::CASES {
            assert!(names.contains(&entry.test), "there is no case {}", entry.test);
        }
    }
}
