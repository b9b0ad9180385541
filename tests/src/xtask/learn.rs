//! `cargo xtask learn`: programs of all kinds, each in the view that was learnt from it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cases::Cases;
use super::setup;
use crate::cases::programs::{BY_USER, PACKAGES};
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
    /// By an ordinary user, for whom loopbox's daemon mounts
    #[arg(long)]
    by_user: bool,
}

/// Runs the cases in the virtual machine, where a Debian with all the programs is the root; their exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let programs = debian::root(&lab, "programs", &codename()?, &PACKAGES)?;
    let within = root::words(&lab, &programs, [lab.checkout()])?;
    let variables = if options.by_user { vec![(BY_USER, "1".into())] } else { Vec::new() };
    let cases = Cases { group: "programs", filter: &options.filter, variables, within };
    cases.run(&lab, &Vm { timeout: PATIENCE, ..Vm::default() })
}
