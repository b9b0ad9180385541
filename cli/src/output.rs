//! Whatever loopbox prints: results on standard output, everything else on standard error.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Standard output cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[from] io::Error);

/// Says something to whoever watches. When a terminal has gone there is nobody to tell, and what loopbox was asked to do
/// goes on: `eprintln!` would panic in the midst of it.
pub fn tell(line: impl Display) {
    let mut text = line.to_string();
    end_line(&mut text);
    // One call, so that the lines of several threads do not mix.
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Prints a result, and ends its last line. A reader that has read enough and gone is none to tell.
pub fn print(text: impl Into<String>) -> Result<(), OutputError> {
    let mut text = text.into();
    end_line(&mut text);
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}
