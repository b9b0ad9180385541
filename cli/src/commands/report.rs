//! `loopbox report`: what can be done with reports that were kept.

mod diff;
mod file;

use std::path::PathBuf;

use crate::error::CommandResult;
use crate::exit::{DIFFERS, Status};
use crate::output;

/// Words of `loopbox report`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say how two reports differ: of two machines, or before and after a change. The exit code is 104 if they do
    Diff {
        /// A file that --report=FILE has written
        first: PathBuf,
        /// Another one
        second: PathBuf,
    },
}

/// Does it.
pub fn execute(arguments: &Arguments) -> CommandResult {
    let Action::Diff { first, second } = &arguments.action;
    let lines = diff::lines(&file::read(first)?, &file::read(second)?);
    if lines.is_empty() {
        return Ok(Status::Done);
    }
    output::print(lines.join("\n"))?;
    Ok(Status::Exited(DIFFERS.into()))
}
