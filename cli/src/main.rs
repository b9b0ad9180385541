//! The program `loopbox`: the command line, and what people see.
// They panic when nobody reads what they print; `output` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod arguments;
mod backend_arguments;
mod commands;
mod conditions;
mod declared;
#[cfg(all(test, target_os = "linux"))]
mod documented;
mod error;
mod exit;
mod failures;
mod globals;
mod help;
mod hints;
mod itself;
mod log;
mod output;
mod report;
mod session_host;
mod signals;
mod slow;
mod targets;
mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use commands::CommandLine;
use error::CommandResult;
use exit::Status;
use sandbox::jail::Roles;

/// What it does in processes of its own.
const ROLES: Roles = Roles {
    task: sandbox::compare::inside,
    serve: sandbox::serve,
    #[cfg(target_os = "linux")]
    attend: commands::attend,
};

fn main() -> ExitCode {
    sandbox::jail::keep_ended_children();
    // The supervisor of a jail forks and has to have one thread only: nothing else comes before.
    let mut words: Vec<OsString> = std::env::args_os().collect();
    if words.get(1).is_some_and(|word| word == sandbox::jail::WORD) {
        return sandbox::jail::enter(&ROLES);
    }
    #[cfg(target_os = "linux")]
    if words.get(1).is_some_and(|word| word == sandbox::jail::guard::WORD) {
        return sandbox::jail::guard::watch();
    }
    let terminal = terminal::take_word(&mut words);
    match arguments::read(&words, terminal).and_then(|line| line.as_ref().map_or(Ok(Status::Done), execute)) {
        Ok(status) => status.into(),
        Err(error) => {
            output::tell_error(&error);
            error.exit_code()
        }
    }
}

fn execute(line: &CommandLine) -> CommandResult {
    output::set_quiet(line.globals.quiet);
    log::to_stderr(&log::filter(&line.globals));
    line.command.execute(&line.globals)
}
