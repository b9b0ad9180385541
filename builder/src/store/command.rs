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
        /// The I/O error.
        source: io::Error,
    },
    /// The program failed.
    #[error("'{}' failed ({status}): {stderr}", line(program, words))]
    Failed {
        /// The program.
        program: &'static str,
        /// Its arguments but for store paths.
        words: Vec<String>,
        /// Its exit status.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
}

fn line(program: &str, words: &[String]) -> String {
    [&[program.into()], words].concat().join(" ")
}

/// A setting that is none of Nix's, by its form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// It would be read as something else.
    #[error("{0:?} is not the name of a setting of Nix's")]
    Name(String),
    /// It would be read as more than one setting.
    #[error("the value of the setting {0:?} has more than one line")]
    Lines(String),
}

/// Nix's programs, as they are configured, and with further settings.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// `NIX_CONFIG`, where there are further settings.
    configuration: Option<String>,
}

impl Programs {
    /// With these settings, which count more than those of files and of the environment.
    ///
    /// # Errors
    /// One of them cannot be written as a line of a configuration.
    pub fn with_options(options: &[(String, String)]) -> Result<Programs, OptionError> {
        if options.is_empty() {
            return Ok(Programs::default());
        }
        let mut configuration = std::env::var("NIX_CONFIG").unwrap_or_default();
        for (name, value) in options {
            let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(OptionError::Name(name.clone()));
            }
            if value.contains(['\n', '\r']) {
                return Err(OptionError::Lines(name.clone()));
            }
            configuration.push_str(&format!("\n{name} = {value}"));
        }
        Ok(Programs { configuration: Some(configuration) })
    }

    /// What they are told by the environment.
    #[cfg(target_os = "linux")]
    pub fn configuration(&self) -> String {
        self.configuration.clone().unwrap_or_else(|| std::env::var("NIX_CONFIG").unwrap_or_default())
    }

    /// One of them, ready to be started.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.configuration.as_ref().map(|text| ("NIX_CONFIG", text)));
        command
    }

    /// Runs a program and returns what it prints.
    pub fn ask(&self, program: &'static str, words: impl AsRef<[OsString]>) -> Result<Vec<u8>, CommandError> {
        Ok(run(self.command(program), program, words.as_ref(), &[])?.stdout)
    }

    /// Runs a program and returns what it reports on its error output.
    pub fn ask_stderr(
        &self,
        program: &'static str,
        words: impl AsRef<[OsString]>,
    ) -> Result<String, CommandError> {
        let output = run(self.command(program), program, words.as_ref(), &[])?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Runs a program with something to read.
    pub fn tell(
        &self,
        program: &'static str,
        words: impl AsRef<[OsString]>,
        input: &[u8],
    ) -> Result<(), CommandError> {
        run(self.command(program), program, words.as_ref(), input).map(drop)
    }
}

fn run(
    mut command: Command,
    program: &'static str,
    words: &[OsString],
    input: &[u8],
) -> Result<Output, CommandError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => CommandError::Missing { program },
        _ => CommandError::Run { program, source },
    };
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
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
        let error = Programs::default().ask("nix-store-that-is-not-there", []).expect_err("no such program");
        assert_eq!(error.to_string(), "Nix's program 'nix-store-that-is-not-there' is not in PATH");
    }

    #[test]
    fn a_failure_repeats_the_end_of_what_the_program_said() {
        let error =
            Programs::default().ask("sh", ["-c".into(), "seq 30 >&2; exit 3".into()]).expect_err("it fails");
        let message = error.to_string();
        assert!(message.starts_with("'sh -c seq 30 >&2; exit 3' failed (exit status: 3): 19\n"), "{message}");
        assert!(message.ends_with("\n30"), "{message}");
    }

    #[test]
    fn what_is_told_arrives_whole() {
        let long = vec![b'x'; 1 << 20];
        Programs::default().tell("sh", ["-c".into(), "test $(wc -c) = 1048576".into()], &long).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn settings_come_after_what_is_configured_and_stay_one_line_each() {
        let options = |name: &str, value: &str| Programs::with_options(&[(name.into(), value.into())]);
        let told = options("cores", "2 # two").unwrap();
        assert!(told.configuration().ends_with("\ncores = 2 # two"), "{told:?}");
        let printed = told.ask("sh", ["-c".into(), "echo \"$NIX_CONFIG\"".into()]).unwrap();
        assert!(String::from_utf8(printed).unwrap().ends_with("\ncores = 2 # two\n"));
        assert_eq!(options("cores = 1\nx", "2").unwrap_err(), OptionError::Name("cores = 1\nx".into()));
        assert_eq!(options("cores", "2\nsandbox = false").unwrap_err(), OptionError::Lines("cores".into()));
    }
}
