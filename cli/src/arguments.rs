//! The command line as a whole: options of every command, and what a wrong one is answered with.

mod unknown;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::commands::Command;
use crate::error::{CommandError, UsageError};
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

impl Arguments {
    /// Reads a command line, the program's name first. None if it asked for help or the version, which is then printed.
    ///
    /// # Errors
    /// [`UsageError`].
    pub fn read(words: &[OsString], terminal: Option<Inner>) -> Result<Option<Arguments>, CommandError> {
        match Arguments::try_parse_from(words) {
            Ok(mut arguments) => {
                arguments.globals.terminal = terminal;
                Ok(Some(arguments))
            }
            Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
                output::print(error.render().to_string())?;
                Ok(None)
            }
            Err(error) => Err(usage_error(&error, words).into()),
        }
    }
}

fn usage_error(error: &clap::Error, words: &[OsString]) -> UsageError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return UsageError { message: "no command given".into(), hints: vec![help_hint()] };
    }
    let known = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::UnknownArgument => {
            unknown::explain(words, word)
        }
        _ => None,
    };
    let mut usage = known.unwrap_or_else(|| {
        let text = error.render().to_string();
        let message = text.split("\n\n").next().unwrap_or_default().trim();
        let message = message.strip_prefix("error: ").unwrap_or(message).to_owned();
        UsageError { message, hints: suggestions(error) }
    });
    if let Some(ContextValue::StyledStr(line)) = error.get(ContextKind::Usage) {
        let line = line.to_string();
        usage.hints.push(format!("usage: {}", line.trim_start_matches("Usage: ").trim()));
    }
    usage.hints.push(help_hint());
    usage
}

/// What clap thinks was meant.
fn suggestions(error: &clap::Error) -> Vec<String> {
    const SIMILAR: [(ContextKind, &str); 3] = [
        (ContextKind::SuggestedSubcommand, "subcommand"),
        (ContextKind::SuggestedArg, "argument"),
        (ContextKind::SuggestedValue, "value"),
    ];
    let mut hints: Vec<String> = SIMILAR
        .iter()
        .filter_map(|(kind, what)| match error.get(*kind)? {
            ContextValue::String(one) => Some(format!("a similar {what} exists: '{one}'")),
            ContextValue::Strings(some) => match &some[..] {
                [] => None,
                [one] => Some(format!("a similar {what} exists: '{one}'")),
                all => Some(format!("some similar {what}s exist: '{}'", all.join("', '"))),
            },
            _ => None,
        })
        .collect();
    if let Some(ContextValue::StyledStrs(others)) = error.get(ContextKind::Suggested) {
        // No command takes a misspelt option as a value: after '--' comes a program.
        let others = others.iter().map(ToString::to_string);
        hints.extend(others.filter(|hint| !hint.starts_with("to pass '")));
    }
    hints
}

fn help_hint() -> String {
    "'loopbox --help' lists the commands, 'loopbox COMMAND --help' the options of one".to_string()
}
