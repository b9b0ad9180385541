//! Whatever loopbox prints: results on standard output, everything else on standard error. Nothing that a build, a
//! derivation or a file name has chosen reaches a terminal but through [`Printable`].

mod escape;
mod log_filter;

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

pub use escape::name;
use log_filter::LogFilter;

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The write failed.
    #[error("cannot write to standard output")]
    Write(#[from] io::Error),
    /// A value is none of JSON's.
    #[error("cannot print the result as JSON")]
    Json(#[from] serde_json::Error),
}

/// A text in which nothing controls a terminal but line ends, tabs and, in lines of a log, colours.
#[derive(Debug, PartialEq, Eq)]
pub struct Printable(String);

impl Printable {
    /// A message of loopbox's own. Control characters, which some name in it may have, are shown as escapes.
    pub fn message(text: impl Display) -> Printable {
        Printable(escape::text(&text.to_string()))
    }

    /// A line that a build or a hook has written, after words of loopbox's own. As in Nix, a terminal gets its colours
    /// and everybody else none; all other control characters and sequences are left out.
    pub fn log_line(before: &str, line: &str) -> Printable {
        Printable(escape::text(before) + &LogFilter::filter(line, stderr_has_colour()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that a build has written, without its control sequences, in one line.
pub fn in_one_line(text: &str) -> String {
    name(LogFilter::filter(text, false))
}

/// A number of things, with the word for one of them or for several.
pub fn count(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// Whether only errors are said.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Chooses whether anything but errors is said.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Whether nothing but errors is said.
pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Says something to whoever watches.
pub fn tell(message: impl Display) {
    tell_printable(Printable::message(message));
}

/// The same of a text that is printable already.
pub fn tell_printable(text: Printable) {
    if !is_quiet() {
        write_error(text);
    }
}

/// Says what has failed.
pub fn tell_error(error: impl Display) {
    write_error(Printable::message(error));
}

/// When a terminal has gone there is nobody to tell, and what loopbox was asked to do goes on: `eprintln!` would panic in the midst
/// of it.
fn write_error(text: Printable) {
    // One call, so that the lines of several threads do not mix.
    let _ = io::stderr().write_all(whole(text.0).as_bytes());
}

/// Prints a result, and ends its last line. A reader that has read enough and gone is none to tell.
pub fn print(text: impl AsRef<str>) -> Result<(), OutputError> {
    let text = text.as_ref();
    if text.is_empty() { write_out(text) } else { write_out(&whole(escape::text(text))) }
}

/// Prints a value as JSON, for people as well as for programs: what could control a terminal is escaped as JSON has it.
pub fn print_json(value: &impl Serialize) -> Result<(), OutputError> {
    write_out(&whole(escape::json(&serde_json::to_string_pretty(value)?)))
}

fn write_out(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Whether standard error is a terminal on which lines can be drawn anew.
pub fn stderr_can_redraw() -> bool {
    io::stderr().is_terminal() && is_capable(std::env::var_os("TERM").as_deref())
}

/// Whether standard error shows colours. The rules are Nix's and <https://no-color.org>'s.
pub fn stderr_has_colour() -> bool {
    static COLOUR: OnceLock<bool> = OnceLock::new();
    *COLOUR.get_or_init(|| {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        stderr_can_redraw() && !unwanted
    })
}

/// A terminal that nothing is known about, or that says so itself, gets plain text.
fn is_capable(term: Option<&OsStr>) -> bool {
    term.is_some_and(|term| !term.is_empty() && term != "dumb")
}

/// Standard error for the lines of [`tracing`], whose fields may be names: colours are its own.
pub struct TracingOutput;

impl Write for TracingOutput {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let text = LogFilter::filter(&String::from_utf8_lossy(lines), stderr_has_colour());
        io::stderr().write_all(text.as_bytes())?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// With an end of its last line.
fn whole(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_ends_once_an_empty_one_too() {
        assert_eq!(["", "a", "a\n", "a\nb"].map(|text| whole(text.into())), ["\n", "a\n", "a\n", "a\nb\n"]);
    }

    #[test]
    fn only_a_terminal_that_is_known_can_do_more_than_show_text() {
        let capable =
            [None, Some(""), Some("dumb"), Some("xterm")].map(|term| is_capable(term.map(OsStr::new)));
        assert_eq!(capable, [false, false, false, true]);
    }

    #[test]
    fn a_message_shows_what_would_control_a_terminal_as_an_escape() {
        let message = Printable::message("cannot read /a\u{1b}]0;OWNED\u{7}b\n\tas it is");
        assert_eq!(message.as_str(), "cannot read /a\\u{1b}]0;OWNED\\u{7}b\n\tas it is");
    }
}
