//! `loopbox completions SHELL`: what a shell needs to complete loopbox's words.

use clap::CommandFactory;
use clap_complete::Shell;

use super::CommandLine;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::help;
use crate::output;

/// Arguments of `loopbox completions`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
pub fn execute(arguments: &Arguments) -> CommandResult {
    let mut command = help::explained(CommandLine::command());
    let mut text = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "loopbox", &mut text);
    output::print(String::from_utf8_lossy(&text))?;
    Ok(Status::Done)
}
