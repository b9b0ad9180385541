//! `loopbox report`: what can be done with reports that were kept.

mod diff;
mod file;
mod page;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::CommandResult;
use crate::exit::{DIFFERS, Status};
use crate::output;
use file::FileError;

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
    /// Write a self-contained HTML page of a report
    Page {
        /// A file that --report=FILE has written
        file: PathBuf,
        /// Where the page goes
        #[arg(short, long, value_name = "PAGE")]
        output: PathBuf,
    },
}

/// Does it.
pub fn execute(arguments: &Arguments) -> CommandResult {
    match &arguments.action {
        Action::Diff { first, second } => diff(first, second),
        Action::Page { file, output } => write_page(file, output),
    }
}

fn diff(first: &Path, second: &Path) -> CommandResult {
    let lines = diff::lines(&file::read(first)?, &file::read(second)?);
    if lines.is_empty() {
        return Ok(Status::Done);
    }
    output::print(lines.join("\n"))?;
    Ok(Status::Exited(DIFFERS.into()))
}

fn write_page(file: &Path, to: &Path) -> CommandResult {
    let page = page::page(&file::read_document(file)?);
    fs::write(to, page).map_err(|source| FileError::Write { path: to.into(), source })?;
    Ok(Status::Done)
}
