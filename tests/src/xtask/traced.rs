//! `cargo xtask traced`: packages from source, configured among decoys; the report of each beside what strace saw.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use super::setup;
use crate::cases::sources::{PACKAGES, VARIABLE};
use crate::lab::Lab;
use crate::lab::apt::{Suite, codename};
use crate::vm::{Output, Vm};

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
    let sources = lab.once("traced", "bringing the sources", |at| {
        Suite::open(&lab, &codename()?)?.sources(&PACKAGES, at)
    })?;
    let words = [
        "env".into(),
        format!("LOOPBOX_PROGRAM={}", lab.loopbox()?.display()),
        format!("{VARIABLE}={}", sources.display()),
        lab.own_program()?.display().to_string(),
        "__vm-cases".into(),
        "sources".into(),
        "--on".into(),
        "tmpfs".into(),
        "--filter".into(),
        options.filter.clone(),
    ];
    let vm = Vm { timeout: PATIENCE, ..Vm::default() };
    let finished = vm.run(&lab, &words.map(Into::into), Output::Show)?;
    Ok(ExitCode::from(u8::try_from(finished.status).unwrap_or(u8::MAX)))
}
