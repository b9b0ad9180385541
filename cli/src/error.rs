//! How a command ends: a status to pass on, or an error printed as `Error:`, `Caused by:` and `Hint:`.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use sandbox::causes::chain;

use crate::hints;

/// loopbox itself failed: nothing can be said about the command that it should have run.
pub const FAILED: u8 = 125;
/// The program exists in the view but cannot be executed (as `env` and `chroot` answer).
pub const CANNOT_EXECUTE: u8 = 126;
/// The program does not exist in the view (as `env` and `chroot` answer).
pub const NOT_FOUND: u8 = 127;
/// What is to be built cannot be evaluated (as Nix's programs answer).
pub const NIX_ERROR: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Added to the number of the signal that ended a command (as shells answer).
pub const SIGNAL: u8 = 128;

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All went well.
    Done,
    /// The command or builder inside ended with this status.
    Exited(i32),
    /// The command or builder inside was ended by this signal, or loopbox was asked to stop with it.
    Signaled(i32),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        match status {
            Status::Done => ExitCode::SUCCESS,
            // A status has eight bits; the kernel reports no others.
            Status::Exited(code) => ExitCode::from((code & 0xff) as u8),
            Status::Signaled(signal) => ExitCode::from(SIGNAL.saturating_add((signal & 0x7f) as u8)),
        }
    }
}

/// An error on its way to the terminal. Any error becomes one with `?`.
pub struct CommandError {
    error: Box<dyn Error + Send + Sync>,
}

/// What a command answers.
pub type CommandResult = Result<Status, CommandError>;

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub hints: Vec<String>,
}

impl CommandError {
    /// The status that loopbox exits with.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(chain(&*self.error).find_map(hints::exit_code).unwrap_or(FAILED))
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for CommandError {
    fn from(error: E) -> CommandError {
        CommandError { error: Box::new(error) }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Error: {}", indented(&self.error.to_string()))?;
        for cause in chain(&*self.error).skip(1) {
            writeln!(f, "Caused by: {}", indented(&cause.to_string()))?;
        }
        for hint in chain(&*self.error).flat_map(hints::of) {
            writeln!(f, "Hint: {}", indented(&hint))?;
        }
        Ok(())
    }
}

/// With every line but the first indented: a name with a line end in it cannot begin a line with words of loopbox's.
fn indented(text: &str) -> String {
    let mut lines = text.split('\n');
    let mut shown = String::from(lines.next().unwrap_or_default());
    for line in lines {
        shown.push_str(if line.is_empty() || line.starts_with(' ') { "\n" } else { "\n  " });
        shown.push_str(line);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::indented;

    #[test]
    fn no_line_of_an_error_but_its_first_begins_at_the_margin() {
        assert_eq!(indented("one\ntwo\n   three\n\nHint: four"), "one\n  two\n   three\n\n  Hint: four");
    }
}
