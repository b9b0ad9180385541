//! `cargo xtask learn`: programs of all kinds, each in the view that was learnt from it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cases::Cases;
use super::setup;
use crate::cases::programs::PACKAGES;
use crate::lab::Lab;
use crate::lab::apt::codename;
use crate::lab::debian;
use crate::vm::{Vm, root};

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(3000);

/// Which.
#[derive(Debug, Args)]
pub struct Options {
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
}

/// Runs the cases in the virtual machine, where a Debian with all the programs is the root; their exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let programs = debian::root(&lab, "programs", &codename()?, &PACKAGES)?;
    let within = root::words(&lab, &programs, [lab.checkout()])?;
    let cases = Cases { group: "programs", filter: &options.filter, variables: Vec::new(), within };
    cases.run(&lab, &Vm { timeout: PATIENCE, ..Vm::default() })
}
