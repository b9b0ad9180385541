//! The commands, one line each; a file of the same name does it.

mod build;
mod build_hook;
mod builds;
#[cfg(target_os = "linux")]
mod check;
mod clean;
#[cfg(target_os = "linux")]
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
    /// Run a command with the whole machine in its view, read-only, and print the smallest view in which it runs
    Learn(Box<learn::Arguments>),
    /// Build derivations and their missing inputs, each in a view of its own
    Build(build::Arguments),
    /// Build derivations again in a varied environment, and say what their outputs depend on
    #[cfg(target_os = "linux")]
    Check(check::Arguments),
    /// Start a shell, or run a command, in the view and environment of a derivation's build
    Shell(shell::Arguments),
    /// Compare backends: build the same derivation with each, or walk the same view
    #[cfg(target_os = "linux")]
    Compare(Box<compare::Arguments>),
    /// Run a build for Nix's setting external-builders (Nix 2.32 and later)
    ExternalBuilder(external_builder::Arguments),
    /// Build what Nix offers, for its setting build-hook (Nix before 2.32)
    BuildHook(build_hook::Arguments),
    /// Mount views for those who are not root, such as Nix's build users
    Daemon(daemon::Arguments),
    /// Have Nix run builders by loopbox: print the configuration, write it, undo it, or verify it
    Setup(setup::Arguments),
    /// Show what earlier builds asked for, and compare reports
    Report(report::Arguments),
    /// Mount the view that a JSON file describes, until it is unmounted or loopbox is interrupted
    Mount(mount::Arguments),
    /// Unmount a view mounted by another loopbox
    Unmount(unmount::Arguments),
    /// Show the sessions of this machine: who runs what, calls a second, bytes and memory
    Status(status::Arguments),
    /// Remove what killed runs left behind: mounts, temporary directories, unfinished outputs
    Clean,
    /// Check whether this machine has what loopbox needs, and say what to do
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
            Command::Shell(arguments) => shell::execute(arguments, globals),
            #[cfg(target_os = "linux")]
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
