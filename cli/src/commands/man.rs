//! `loopbox man [DIR]`: the manual pages, made from the same words as `--help`.

use std::io;
use std::path::PathBuf;

use clap::CommandFactory;
use clap_mangen::Man;

use super::CommandLine;
use crate::error::CommandResult;
use crate::exit::Status;
use crate::help;
use crate::output;

/// Arguments of `loopbox man`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory for loopbox.1 and a page for each command; without it, loopbox.1 is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// The pages cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the manual pages to {to}")]
struct ManError {
    to: String,
    source: io::Error,
}

/// Writes or prints the pages.
pub fn execute(arguments: &Arguments) -> CommandResult {
    let command = help::explained(CommandLine::command());
    match &arguments.directory {
        Some(directory) => clap_mangen::generate_to(command, directory)
            .map_err(|source| ManError { to: directory.display().to_string(), source })?,
        None => {
            let mut page = Vec::new();
            let rendered = Man::new(command).render(&mut page);
            rendered.map_err(|source| ManError { to: "standard output".into(), source })?;
            output::print(String::from_utf8_lossy(&page))?;
        }
    }
    Ok(Status::Done)
}
