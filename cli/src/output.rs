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
    // One call, so that the lines of several threads do not mix.
    let _ = io::stderr().write_all(whole(line.to_string()).as_bytes());
}

/// Prints a result, and ends its last line. A reader that has read enough and gone is none to tell.
pub fn print(text: impl Into<String>) -> Result<(), OutputError> {
    let text = text.into();
    let text = if text.is_empty() { text } else { whole(text) };
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
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
    use super::whole;

    #[test]
    fn every_line_ends_once_an_empty_one_too() {
        assert_eq!(["", "a", "a\n", "a\nb"].map(|text| whole(text.into())), ["\n", "a\n", "a\n", "a\nb\n"]);
    }
}
