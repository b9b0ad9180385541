//! `cargo xtask fresh`: the README's commands on a machine that has nothing.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use crate::fresh::{Fresh, Ran, run, sweep};
use crate::lab::{Lab, packages, say};

/// The README's commands.
const COMMANDS: [&[&str]; 3] = [&["demo"], &["test"], &["bench", "--quick"]];

/// What to run.
#[derive(Debug, Args)]
pub struct Options {
    /// Keep the root that the command ran in, to look around in it.
    #[arg(long)]
    keep: bool,
    /// A command of `cargo xtask` with its options; all of the README's, each in a root of its own, if there is none.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Runs them one after the other; prints how each went last.
pub fn run_all(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    packages::install()?;
    sweep(&lab)?;
    let commands: Vec<Vec<String>> = match options.command.as_slice() {
        [] => COMMANDS.iter().map(|words| words.iter().map(|&word| word.to_owned()).collect()).collect(),
        words => vec![words.to_vec()],
    };
    let mut all = Vec::new();
    for words in &commands {
        let fresh = Fresh::make(&lab, options.keep)?;
        say(&format!("cargo xtask {} in there", words.join(" ")));
        all.push(run(&lab, &fresh, words)?);
    }
    for ran in &all {
        println!("{ran}");
    }
    Ok(if all.iter().all(Ran::good) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
