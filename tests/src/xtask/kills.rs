//! `cargo xtask kills`: builds on a farm of hard links, killed at random moments, or others before each change that they make to a
//! file and each system call of registration, or with any one process killed; the store has to stay as it was.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cases::Cases;
use super::setup;
use crate::lab::Lab;
use crate::vm::Vm;

/// How long one kill may take, with the build before it and the look afterwards: some seconds on a slow machine.
const EACH: Duration = Duration::from_secs(20);
/// How long all changes may take.
const CHANGES: Duration = Duration::from_secs(2400);
/// For the machine itself.
const REST: Duration = Duration::from_secs(120);

/// How many.
#[derive(Debug, Args)]
pub struct Options {
    /// How often a build is killed.
    #[arg(long, default_value_t = 100)]
    count: u32,
    /// Kill a build instead, and what cleans up after one, before each change to a file, and before each system call of
    /// registration; have each change fail; and have the power fail before each.
    #[arg(long, conflicts_with = "count")]
    changes: bool,
    /// Kill any one process of a build each time, in views over NFS.
    #[arg(long, conflicts_with = "changes")]
    anywhere: bool,
}

/// Runs the cases in the virtual machine; their exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let (filter, variable, timeout) = if options.changes {
        ("clean::changes", ("LOOPBOX_CHANGES", "1".into()), CHANGES)
    } else {
        let count = ("LOOPBOX_KILLS", options.count.to_string().into());
        // Those of links are two cases, with mounts and without.
        let (filter, cases) =
            if options.anywhere { ("any_process_is_killed", 1) } else { ("killed_builds_of_links", 2) };
        (filter, count, EACH * options.count * cases)
    };
    let cases = Cases { group: "clean", filter, variables: vec![variable], within: Vec::new() };
    cases.run(&lab, &Vm { timeout: REST + timeout, ..Vm::default() })
}
