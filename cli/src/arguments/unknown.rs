//! Words that a command does not have and that a person has good reason to expect of it: Nix's, and a command's without
//! the `--` before it.

use std::ffi::OsString;

use crate::failures::UsageError;

/// Commands that build, and so are called like those of Nix.
const BUILDING: [&str; 4] = ["build", "check", "shell", "compare"];

/// Options of Nix's programs, and what does the same here. `COMMAND` stands for the command.
const OF_NIX: [(&[&str], &str); 6] = [
    (&["--file", "-f"], "a file needs no option: loopbox COMMAND FILE -A ATTR"),
    (&["--print-out-paths"], "the paths of the outputs are always printed"),
    (
        &["--print-build-logs"],
        "'loopbox build' always shows what builds write; '--no-build-output' leaves it out",
    ),
    (&["--rebuild"], "'--check' builds once more and compares"),
    (
        &["--store", "--eval-store"],
        "the store is the environment's: NIX_STORE_DIR, NIX_STATE_DIR and NIX_LOG_DIR name its directories",
    ),
    (&["--builders"], "nothing is built on other machines"),
];

/// What is true of every other option of Nix.
const OTHERS: &str = "for a setting of Nix, '--option NAME VALUE'; to evaluate with other options, loopbox COMMAND $(nix-instantiate …)";

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
