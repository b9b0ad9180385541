//! The commands, one line each; a file of the same name does it.

mod completions;
mod man;

use clap::Subcommand;

use crate::arguments::Globals;
use crate::failure::Answer;

/// What loopbox can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Write the manual pages into a directory, or print the first
    Man(man::Arguments),
}

impl Command {
    /// Does it.
    pub fn execute(&self, _globals: &Globals) -> Answer {
        match self {
            Command::Completions(arguments) => completions::execute(arguments),
            Command::Man(arguments) => man::execute(arguments),
        }
    }
}
