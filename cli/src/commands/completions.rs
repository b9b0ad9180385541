//! `loopbox completions SHELL`: what a shell needs to complete loopbox's words.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;

use crate::failure::{Answer, Status};

/// Words of `loopbox completions`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Prints the completions.
pub fn execute(arguments: &Arguments) -> Answer {
    let mut command = crate::arguments::Arguments::command();
    clap_complete::generate(arguments.shell, &mut command, "loopbox", &mut io::stdout());
    Ok(Status::Done)
}
