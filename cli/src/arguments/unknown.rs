//! Words that a command does not have and that a person has good reason to expect of it: Nix's, and a command's without
//! the `--` before it.

use std::ffi::OsString;

use crate::failures::UsageError;

/// Commands that build, and so are called like those of Nix.
const BUILDING: [&str; 3] = ["build", "shell", "compare"];

/// Options of Nix's programs, and what does the same here. `COMMAND` stands for the command.
const OF_NIX: [(&[&str], &str); 13] = [
    (&["--arg", "--argstr"], "Nix can evaluate: loopbox COMMAND $(nix-instantiate FILE --argstr NAME VALUE)"),
    (&["--expr", "-E"], "Nix can evaluate: loopbox COMMAND $(nix-instantiate --expr 'EXPRESSION')"),
    (&["--file", "-f"], "a file needs no option: loopbox COMMAND FILE -A ATTR"),
    (
        &["--option"],
        "settings of Nix are read from the environment: NIX_CONFIG='NAME = VALUE' loopbox COMMAND …",
    ),
    (
        &["--include", "-I"],
        "paths to look in are read from the environment: NIX_PATH=NAME=PATH loopbox COMMAND …",
    ),
    (&["--max-jobs"], "'--jobs N' says how many builds run at the same time"),
    (&["--no-link"], "'--no-out-link' makes no links"),
    (&["--print-out-paths"], "the paths of the outputs are always printed"),
    (
        &["--print-build-logs", "--verbose"],
        "'loopbox build' always shows what builds write; '--no-build-output' leaves it out",
    ),
    (&["--rebuild"], "'--check' builds once more and compares"),
    (&["--impure", "--flake"], "Nix can evaluate: loopbox COMMAND $(nix path-info --derivation INSTALLABLE)"),
    (
        &["--store", "--eval-store"],
        "the store is the environment's: NIX_STORE_DIR, NIX_STATE_DIR and NIX_LOG_DIR name its directories",
    ),
    (&["--builders"], "nothing is built on other machines"),
];

/// What is true of every other option of Nix.
const OTHERS: &str = "for a setting of Nix, NIX_CONFIG='NAME = VALUE'; to evaluate with other options, loopbox COMMAND $(nix-instantiate …)";

/// A sentence about such a word, if there is one to say.
pub fn explain(words: &[OsString], unknown: &str) -> Option<UsageError> {
    let command =
        words.iter().skip(1).map(|word| word.to_string_lossy()).find(|word| !word.starts_with('-'))?;
    let name = unknown.split(['=', ' ']).next().unwrap_or(unknown);
    if BUILDING.contains(&&*command) && name.starts_with('-') {
        let message = format!("'loopbox {command}' has no option '{name}'");
        let known = OF_NIX.iter().find(|(options, _)| options.contains(&name));
        let hint = known.map_or(OTHERS, |(_, hint)| hint).replace("COMMAND", &command);
        return Some(UsageError { message, hints: vec![hint] });
    }
    if command == "run" && !name.starts_with('-') {
        let message = format!("'{unknown}' is not an option of 'loopbox run'");
        let hint = format!("the command comes after '--': loopbox run … -- {unknown} …");
        return Some(UsageError { message, hints: vec![hint] });
    }
    None
}
