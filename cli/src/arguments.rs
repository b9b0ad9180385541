//! Reads the command line, and answers a wrong one.

mod unknown;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, FromArgMatches};

use crate::commands::{Command, CommandLine};
use crate::error::CommandError;
use crate::failures::UsageError;
use crate::globals::Globals;
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
    match of_build(words).map_or_else(|| of_any_command(words), Ok) {
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

fn of_any_command(words: &[OsString]) -> Result<CommandLine, clap::Error> {
    let matches = help::explained(CommandLine::command()).try_get_matches_from(words)?;
    CommandLine::from_arg_matches(&matches)
}

/// One of the two commands that Nix runs for every build, which are read without what all others have: to make that takes longer
/// than to read these. None if it is another, or wrong.
fn of_build(words: &[OsString]) -> Option<CommandLine> {
    let words = words.get(1..)?;
    match words.first()?.to_str()? {
        "external-builder" => alone(words, Command::ExternalBuilder),
        "build-hook" => alone(words, Command::BuildHook),
        _ => None,
    }
}

/// Reads the words of one command, its name first.
fn alone<A: Args>(words: &[OsString], command: impl FnOnce(A) -> Command) -> Option<CommandLine> {
    let parser = Globals::augment_args(A::augment_args(clap::Command::new("loopbox")));
    let matches = parser.try_get_matches_from(words).ok()?;
    let (globals, arguments) =
        (Globals::from_arg_matches(&matches).ok()?, A::from_arg_matches(&matches).ok()?);
    Some(CommandLine { globals, command: command(arguments) })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn what_nix_runs_for_every_build_is_read_as_all_else_is() {
        let lines = [
            "loopbox external-builder build.json",
            "loopbox external-builder --socket /s --network /bin/sh=/x /etc? -v build.json",
            "loopbox build-hook 3",
            "loopbox build-hook -j 4 -q 1",
        ];
        for line in lines {
            let alone = of_build(&words(line)).unwrap();
            let among_all = of_any_command(&words(line)).unwrap();
            assert_eq!(format!("{alone:?}"), format!("{among_all:?}"));
        }
    }

    #[test]
    fn what_is_wrong_in_it_is_explained_as_elsewhere() {
        for line in
            ["loopbox external-builder", "loopbox external-builder --help", "loopbox build-hook --no 1"]
        {
            assert!(of_build(&words(line)).is_none(), "{line}");
        }
        let error = read(&words("loopbox build-hook --max-jbs 2 1"), None).unwrap_err();
        assert!(error.to_string().contains("--max-jbs"), "{error}");
    }
}
