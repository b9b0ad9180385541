//! What was found: facts, and how they are printed.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// How far a moment may lie back, in seconds, to be called `now`: longer than any probe takes.
const RECENT: i64 = 1800;

/// Facts, each with a topic, a key and a value.
#[derive(Default)]
pub struct Report(BTreeSet<String>);

impl Report {
    /// Adds a fact.
    pub fn put(&mut self, topic: &str, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) {
        self.0.insert(format!("{topic}\t{}\t{}", printable(key.as_ref()), printable(value.as_ref())));
    }

    /// Prints them all.
    pub fn print(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        self.0.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        out.flush()
    }
}

/// Text on one line, with whatever is no plain character as `\xNN`.
pub fn printable(text: &OsStr) -> String {
    let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\\';
    let print = |byte: &u8| match byte {
        byte if plain(*byte) => char::from(*byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    text.as_bytes().iter().map(print).collect()
}

/// A result by the name of its error.
pub fn answer<T: AsRef<str>>(result: nix::Result<T>) -> String {
    match result {
        Ok(value) => value.as_ref().to_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

/// The standard library's error as the kernel's.
pub fn errno<T>(result: io::Result<T>) -> nix::Result<T> {
    result.map_err(|error| nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

/// A time that is the same in two runs: `now` when it is of this run.
pub fn moment(seconds: i64, nanoseconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let age = i64::try_from(now).unwrap_or(0) - seconds;
    if (-RECENT..RECENT).contains(&age) {
        return "now".into();
    }
    if nanoseconds == 0 { seconds.to_string() } else { format!("{seconds}.{nanoseconds:09}") }
}
