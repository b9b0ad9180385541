//! `cargo xtask attacks`: each attack with and without the defences that it is behind.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cases::Cases;
use super::setup;
use crate::cases::attacks::list;
use crate::lab::Lab;
use crate::vm::Vm;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(1200);

/// Which.
#[derive(Debug, Args)]
pub struct Options {
    /// Only attacks whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
    /// Only say what they are, and what each is behind
    #[arg(long)]
    list: bool,
}

/// Runs the cases in the virtual machine, with the program that can be without a defence; their exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    if options.list {
        print!("{}", list());
        return Ok(ExitCode::SUCCESS);
    }
    let lab = Lab::open()?.testing();
    setup::machine(&lab)?;
    let cases =
        Cases { group: "attacks", filter: &options.filter, variables: Vec::new(), within: Vec::new() };
    cases.run(&lab, &Vm { timeout: PATIENCE, ..Vm::default() })
}
