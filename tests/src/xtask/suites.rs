//! `cargo xtask suites`: the outside suites, in the virtual machine.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use super::setup;
use crate::lab::Lab;
use crate::lab::suites::Tools;
use crate::suites::Options;
use crate::vm::{Output, Vm};

/// A million operations of fsx, twice on each of three grounds, take most of an hour.
const LIMIT: Duration = Duration::from_secs(3 * 3600);

/// Brings the suites and runs them; the exit status tells whether all is as it should be.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    Tools::bring(&lab)?;
    let mut words = vec![lab.own_program()?.into(), "__vm-suites".into()];
    words.extend(options.words());
    let finished = Vm { timeout: LIMIT, ..Vm::default() }.run(&lab, &words, Output::Show)?;
    Ok(ExitCode::from(u8::try_from(finished.status).unwrap_or(u8::MAX)))
}
