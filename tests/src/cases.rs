//! The cases that run inside the virtual machine, as root.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

/// Which cases, and on what.
#[derive(Debug, Args)]
pub struct Options {
    /// Only cases whose name contains this.
    filter: Option<String>,
}

/// Runs them.
pub fn main(_options: &Options) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
