//! The command line as a whole: options of every command, and what a wrong one is answered with.

mod unknown;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::commands::Command;
use crate::failure::{Failure, Usage};
use crate::output;
use crate::terminal::Inner;

const EXIT_CODES: &str = "\
Exit codes: 'run' ends with the status of its command, 128+N if signal N ended it, 'build' with those of nix-build \
(100 to 108, or 1) if a derivation fails; 2 for a wrong command line; 125 if loopbox itself failed, 126 if the program could not be executed, 127 if it was not found.";

/// A sandbox for builds: a filtered view of the file system, served over NFS to this machine's own kernel.
#[derive(Debug, Parser)]
#[command(name = "loopbox", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 100)]
pub struct Arguments {
    /// Options that every command has.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// On Linux empty after the machine has started. On macOS it stays, with what has been found out about the system.
const STATE_DIR: &str = if cfg!(target_os = "macos") { "/private/var/db/loopbox" } else { "/run/loopbox" };

/// Options that every command has.
#[derive(Clone, Debug, clap::Args)]
pub struct Globals {
    /// Where loopbox notes its mounts and temporary directories, for a later run to clean up
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "LOOPBOX_STATE_DIR",
        default_value = STATE_DIR
    )]
    pub state_dir: PathBuf,
    /// The terminal that this process was started on for its program, by another loopbox.
    #[arg(skip)]
    pub terminal: Option<Inner>,
}

/// Why the command line led to no command.
pub struct Stop {
    error: clap::Error,
    words: Vec<OsString>,
}

impl Arguments {
    /// Reads the words of a command line, its name first.
    pub fn read(words: Vec<OsString>, terminal: Option<Inner>) -> Result<Arguments, Stop> {
        let parsed = Arguments::try_parse_from(&words);
        let mut arguments = parsed.map_err(|error| Stop { error, words })?;
        arguments.globals.terminal = terminal;
        Ok(arguments)
    }
}

impl Stop {
    /// Prints help or the version if that was asked for; everything else is a failure to report.
    pub fn into_failure(self) -> Result<ExitCode, Failure> {
        match self.error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                output::print(self.error.render().to_string())?;
                Ok(ExitCode::SUCCESS)
            }
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
                Err(Usage { message: "no command given".into(), hints: vec![help_hint()] }.into())
            }
            ErrorKind::UnknownArgument => Err(self.unknown().into()),
            _ => Err(usage(&self.error.render().to_string()).into()),
        }
    }
}

impl Stop {
    /// What is said of a word that is none of the command's.
    fn unknown(&self) -> Usage {
        let mut usage = usage(&self.error.render().to_string());
        let word = match self.error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(word)) => word.clone(),
            _ => return usage,
        };
        if let Some(better) = unknown::explain(&self.words, &word) {
            usage.message = better.message;
            usage.hints.retain(|hint| hint.starts_with("usage: ") || *hint == help_hint());
            usage.hints.splice(0..0, better.hints);
        }
        usage
    }
}

/// Sorts clap's text into what is wrong and what would be right: its first paragraph says the former, its tips and
/// its usage line the latter.
fn usage(text: &str) -> Usage {
    let mut paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    let first = paragraphs.next().unwrap_or("wrong arguments");
    let message = first.strip_prefix("error: ").unwrap_or(first).to_string();
    let mut hints: Vec<String> = Vec::new();
    for paragraph in paragraphs {
        for line in paragraph.lines().map(str::trim) {
            if let Some(tip) = line.strip_prefix("tip: ") {
                // No command takes a misspelt option as a value: after '--' comes a program.
                if !tip.starts_with("to pass '") {
                    hints.push(tip.to_string());
                }
            } else if let Some(usage) = line.strip_prefix("Usage: ") {
                hints.push(format!("usage: {usage}"));
            }
        }
    }
    hints.push(help_hint());
    Usage { message, hints }
}

fn help_hint() -> String {
    "'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one".to_string()
}
