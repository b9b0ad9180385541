//! The commands, one line each; a file of the same name does it.

mod build;
mod completions;
mod external_builder;
mod man;
mod run;

pub use run::RunError;

use clap::Subcommand;

use crate::arguments::Globals;
use crate::failure::Answer;

/// What loopbox can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command in a view of chosen files and directories
    Run(Box<run::Arguments>),
    /// Build a derivation, and whatever it needs, in views of their own
    Build(build::Arguments),
    /// Run a build for Nix, by its setting external-builders (Nix 2.32 and later)
    ExternalBuilder(external_builder::Arguments),
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Write the manual pages into a directory, or print the first
    Man(man::Arguments),
}

impl Command {
    /// Does it.
    pub fn execute(&self, globals: &Globals) -> Answer {
        match self {
            Command::Run(arguments) => run::execute(arguments, globals),
            Command::Build(arguments) => build::execute(arguments, globals),
            Command::ExternalBuilder(arguments) => external_builder::execute(arguments, globals),
            Command::Completions(arguments) => completions::execute(arguments),
            Command::Man(arguments) => man::execute(arguments),
        }
    }
}
