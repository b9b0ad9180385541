//! Reads the command line, and answers a wrong one.

mod unknown;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches};

use crate::commands::CommandLine;
use crate::error::CommandError;
use crate::failures::UsageError;
use crate::help;
use crate::output;
use crate::terminal::WorkerTerminal;

/// Reads a command line, the program's name first. None if it asked for help or the version, which is then printed.
///
/// # Errors
/// [`UsageError`].
pub fn read(
    words: &[OsString],
    terminal: Option<WorkerTerminal>,
) -> Result<Option<CommandLine>, CommandError> {
    let matches = help::explained(CommandLine::command()).try_get_matches_from(words);
    match matches.and_then(|matches| CommandLine::from_arg_matches(&matches)) {
        Ok(mut line) => {
            line.globals.terminal = terminal;
            Ok(Some(line))
        }
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            output::print(error.render().to_string())?;
            Ok(None)
        }
        Err(error) => Err(usage_error(&error, words).into()),
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
