//! `cargo xtask kills`: builds on a farm of hard links, killed at random moments; the store has to stay as it was.

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
/// For the machine itself.
const REST: Duration = Duration::from_secs(120);

/// How many.
#[derive(Debug, Args)]
pub struct Options {
    /// How often a build is killed.
    #[arg(long, default_value_t = 100)]
    count: u32,
}

/// Runs the one case in the virtual machine; its exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let cases = Cases {
        group: "clean",
        filter: "killed_builds_of_links",
        variables: vec![("LOOPBOX_KILLS", options.count.to_string().into())],
        within: Vec::new(),
    };
    cases.run(&lab, &Vm { timeout: REST + EACH * options.count, ..Vm::default() })
}
