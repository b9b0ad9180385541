//! `cargo xtask traced`: packages from source, configured among decoys; the report of each beside what strace saw.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::cases::Cases;
use super::setup;
use crate::cases::sources::{PACKAGES, VARIABLE};
use crate::lab::Lab;
use crate::lab::apt::{Suite, codename};
use crate::lab::packages;
use crate::vm::Vm;

/// How long all of them may take: a configure script starts some thousand processes, each of which is traced.
const PATIENCE: Duration = Duration::from_secs(4000);

/// Which.
#[derive(Debug, Args)]
pub struct Options {
    /// Only cases whose name contains this
    #[arg(long, default_value = "")]
    filter: String,
}

/// Runs the cases in the virtual machine; its exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    packages::make()?;
    let sources = lab.once("traced", "bringing the sources", |at| {
        Suite::open(&lab, &codename()?)?.sources(&PACKAGES, at)
    })?;
    let cases = Cases {
        group: "sources",
        filter: &options.filter,
        variables: vec![(VARIABLE, sources.into_os_string())],
        within: Vec::new(),
    };
    cases.run(&lab, &Vm { timeout: PATIENCE, ..Vm::default() })
}
