//! Running Nix's programs and reading what they print.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::process::{Command, ExitStatus, Output, Stdio};

/// Paths in one command line. A path is at most some 250 bytes, and Linux allows 2 MiB of arguments.
pub const MAX_PATHS: usize = 4000;

/// Lines of a program's error output that an error repeats: Nix says the cause last.
const SHOWN_LINES: usize = 12;

/// Why a program of Nix gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The program is not installed.
    #[error("Nix's program '{program}' is not in PATH")]
    Missing {
        /// The program.
        program: &'static str,
    },
    /// The program could not be run.
    #[error("cannot run '{program}'")]
    Run {
        /// The program.
        program: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program failed.
    #[error("'{program} {}' failed ({status}): {stderr}", words.join(" "))]
    Failed {
        /// The program.
        program: &'static str,
        /// Its arguments but for store paths.
        words: Vec<String>,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        stderr: String,
    },
}

/// Runs a program and returns what it prints.
pub fn ask(program: &'static str, words: impl AsRef<[OsString]>) -> Result<Vec<u8>, CommandError> {
    Ok(run(program, words.as_ref(), &[])?.stdout)
}

/// Runs a program and returns what it reports on its error output.
pub fn ask_stderr(program: &'static str, words: impl AsRef<[OsString]>) -> Result<String, CommandError> {
    Ok(String::from_utf8_lossy(&run(program, words.as_ref(), &[])?.stderr).into_owned())
}

/// Runs a program with something to read.
pub fn tell(program: &'static str, words: impl AsRef<[OsString]>, input: &[u8]) -> Result<(), CommandError> {
    run(program, words.as_ref(), input).map(drop)
}

fn run(program: &'static str, words: &[OsString], input: &[u8]) -> Result<Output, CommandError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CommandError::Missing { program },
        _ => CommandError::Run { program, source },
    };
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut command = Command::new(program);
    command.args(words).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    // The programs that are told something print nothing before they have read all of it, so this cannot block
    // on a full output pipe. One that gives up early closes its input; its status says why.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(output);
    }
    let shown = words.iter().filter(|word| !word.as_encoded_bytes().contains(&b'/')).map(OsString::as_os_str);
    Err(CommandError::Failed {
        program,
        words: shown.map(OsStr::to_string_lossy).map(std::borrow::Cow::into_owned).collect(),
        status: output.status,
        stderr: last_lines(&output.stderr),
    })
}

fn last_lines(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = ask("nix-store-that-is-not-there", []).expect_err("no such program");
        assert_eq!(error.to_string(), "Nix's program 'nix-store-that-is-not-there' is not in PATH");
    }

    #[test]
    fn a_failure_repeats_the_end_of_what_the_program_said() {
        let error = ask("sh", ["-c".into(), "seq 30 >&2; exit 3".into()]).expect_err("it fails");
        let message = error.to_string();
        assert!(message.starts_with("'sh -c seq 30 >&2; exit 3' failed (exit status: 3): 19\n"), "{message}");
        assert!(message.ends_with("\n30"), "{message}");
    }

    #[test]
    fn what_is_told_arrives_whole() {
        let long = vec![b'x'; 1 << 20];
        tell("sh", ["-c".into(), "test $(wc -c) = 1048576".into()], &long).unwrap();
    }
}
