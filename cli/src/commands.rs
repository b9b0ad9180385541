//! The commands, one line each; a file of the same name does it.

mod build;
mod build_hook;
mod builds;
mod check;
mod clean;
mod compare;
mod completions;
mod daemon;
mod doctor;
mod entry_mode;
mod external_builder;
mod in_view;
mod learn;
mod man;
mod mount;
mod report;
mod run;
mod setup;
mod shell;
mod status;
mod unmount;

use clap::{Parser, Subcommand};

#[cfg(target_os = "linux")]
pub use daemon::attend;

use crate::error::CommandResult;
use crate::failures::RunError;
use crate::globals::Globals;

const EXIT_CODES: &str = "\
Exit codes: 'run' ends with the status of its command, 128+N if signal N ended it, 'build' with those of nix-build \
(100 to 108, or 1) if a derivation fails; 2 for a wrong command line; 125 if loopbox itself failed, 126 if the program could not be executed, 127 if it was not found.";

/// A sandbox for builds: a filtered view of the file system, served over NFS to this machine's own kernel.
#[derive(Debug, Parser)]
#[command(name = "loopbox", version, after_help = EXIT_CODES, disable_help_subcommand = true, max_term_width = 100)]
pub struct CommandLine {
    /// Options that every command has.
    #[command(flatten)]
    pub globals: Globals,
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command in a view of chosen files and directories
    Run(Box<run::Arguments>),
    /// Run a command, and print the smallest view in which it runs
    ///
    /// It runs with the whole machine in its view, read-only.
    Learn(Box<learn::Arguments>),
    /// Build derivations and their missing inputs, each in its own view
    Build(build::Arguments),
    /// Build again in a varied environment, and say what outputs depend on
    Check(check::Arguments),
    /// Start a shell in the view and environment of a derivation's build
    ///
    /// Or run a command there.
    Shell(shell::Arguments),
    /// Build the same derivation, or walk the same view, with each backend
    Compare(Box<compare::Arguments>),
    /// Run a build for Nix's setting external-builders (Nix 2.32 and later)
    ExternalBuilder(external_builder::Arguments),
    /// Build what Nix offers, for its setting build-hook (Nix before 2.32)
    BuildHook(build_hook::Arguments),
    /// Mount views for those who are not root, such as Nix's build users
    Daemon(daemon::Arguments),
    /// Have Nix run builders by loopbox, or undo that
    Setup(setup::Arguments),
    /// Show what earlier builds asked for, and compare reports
    Report(report::Arguments),
    /// Mount the view that a JSON file describes
    ///
    /// Until it is unmounted or loopbox is interrupted.
    Mount(mount::Arguments),
    /// Unmount a view mounted by another loopbox
    Unmount(unmount::Arguments),
    /// Show the sessions of this machine, and what they do
    ///
    /// Who runs what, calls a second, bytes and memory.
    Status(status::Arguments),
    /// Remove what killed runs left behind
    ///
    /// Mounts, temporary directories, unfinished outputs.
    Clean,
    /// Check whether this machine has what loopbox needs
    Doctor(doctor::Arguments),
    /// Print shell completions
    Completions(completions::Arguments),
    /// Write the manual pages to a directory, or print loopbox.1
    Man(man::Arguments),
}

impl Command {
    /// Runs the command.
    pub fn execute(&self, globals: &Globals) -> CommandResult {
        match self {
            Command::Run(arguments) => run::execute(arguments, globals),
            Command::Learn(arguments) => learn::execute(arguments, globals),
            Command::Build(arguments) => build::execute(arguments, globals),
            #[cfg(target_os = "linux")]
            Command::Check(arguments) => check::execute(arguments, globals),
            #[cfg(not(target_os = "linux"))]
            Command::Check(_) => Err(RunError::NoCheck.into()),
            Command::Shell(arguments) => shell::execute(arguments, globals),
            Command::Compare(arguments) => compare::execute(arguments, globals),
            #[cfg(target_os = "linux")]
            Command::ExternalBuilder(arguments) => external_builder::execute(arguments, globals),
            #[cfg(not(target_os = "linux"))]
            Command::ExternalBuilder(_) => Err(RunError::NoExternal.into()),
            Command::BuildHook(arguments) => build_hook::execute(arguments, globals),
            #[cfg(target_os = "linux")]
            Command::Daemon(arguments) => daemon::execute(arguments, globals),
            #[cfg(not(target_os = "linux"))]
            Command::Daemon(_) => Err(RunError::NoDaemon.into()),
            #[cfg(target_os = "linux")]
            Command::Setup(arguments) => setup::execute(arguments, globals),
            #[cfg(not(target_os = "linux"))]
            Command::Setup(_) => Err(RunError::NoDaemon.into()),
            Command::Report(arguments) => report::execute(arguments),
            Command::Mount(arguments) => mount::execute(arguments, globals),
            Command::Unmount(arguments) => unmount::execute(arguments, globals),
            Command::Status(arguments) => status::execute(arguments, globals),
            Command::Clean => clean::execute(globals),
            Command::Doctor(arguments) => doctor::execute(arguments, globals),
            Command::Completions(arguments) => completions::execute(arguments),
            Command::Man(arguments) => man::execute(arguments),
        }
    }
}

/// Fails unless run as root; called before anything is changed.
fn need_root() -> Result<(), RunError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(RunError::NotRoot) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::CommandLine;
    use crate::help;

    #[test]
    fn every_command_is_among_the_tasks_and_has_examples() {
        let command = CommandLine::command();
        let all: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        for known in help::known() {
            assert_eq!(known.len(), all.len());
            assert_eq!(BTreeSet::from_iter(known), all);
        }
    }

    #[test]
    fn each_command_says_in_one_line_what_it_does() {
        for command in CommandLine::command().get_subcommands() {
            let about = command.get_about().unwrap().to_string();
            assert!(about.len() <= 72, "{}: {about}", command.get_name());
        }
    }
}
