//! What a command answers: a status to pass on, or an error printed as `Error:`, `Caused by:` and `Hint:`.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use sandbox::causes::chain;

use crate::exit::{FAILED, Status};
use crate::hints;

/// An error on its way to the terminal. Any error becomes one with `?`.
pub struct CommandError {
    error: Box<dyn Error + Send + Sync>,
}

/// What a command answers.
pub type CommandResult = Result<Status, CommandError>;

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
