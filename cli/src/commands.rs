//! The commands, one line each; a file of the same name does it.

mod build;
mod builds;
mod clean;
#[cfg(target_os = "linux")]
mod compare;
mod completions;
mod doctor;
mod entering;
mod external_builder;
mod man;
mod mount;
mod run;
mod shell;
mod unmount;

pub use run::RunError;

use clap::Subcommand;

use crate::arguments::Globals;
use crate::failure::Answer;

/// What loopbox can be asked to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command in a view of chosen files and directories
    Run(Box<run::Arguments>),
    /// Build a derivation, and whatever it needs, in views of their own
    Build(build::Arguments),
    /// Enter the view of a derivation's build, with its environment, or run a command there
    Shell(shell::Arguments),
    /// Compare backends: build the same in each, or walk through the same view
    #[cfg(target_os = "linux")]
    Compare(Box<compare::Arguments>),
    /// Run a build for Nix, by its setting external-builders (Nix 2.32 and later)
    ExternalBuilder(external_builder::Arguments),
    /// Mount a view that a JSON file describes, until it is unmounted or loopbox is interrupted
    Mount(mount::Arguments),
    /// Unmount a view that another loopbox has mounted
    Unmount(unmount::Arguments),
    /// Take away what runs that were killed have left: mounts, temporary directories, unfinished outputs
    Clean,
    /// Look at what this machine has and lacks for loopbox, and say what to do
    Doctor(doctor::Arguments),
    /// Print the completions of a shell
    Completions(completions::Arguments),
    /// Write the manual pages into a directory, or print the first
    Man(man::Arguments),
}

impl Command {
    /// Does it.
    pub fn execute(&self, globals: &Globals) -> Answer {
        match self {
            Command::Run(arguments) => run::execute(arguments, globals),
            Command::Build(arguments) => build::execute(arguments, globals),
            Command::Shell(arguments) => shell::execute(arguments, globals),
            #[cfg(target_os = "linux")]
            Command::Compare(arguments) => compare::execute(arguments, globals),
            #[cfg(target_os = "linux")]
            Command::ExternalBuilder(arguments) => external_builder::execute(arguments, globals),
            #[cfg(not(target_os = "linux"))]
            Command::ExternalBuilder(_) => Err(RunError::NoExternal.into()),
            Command::Mount(arguments) => mount::execute(arguments, globals),
            Command::Unmount(arguments) => unmount::execute(arguments, globals),
            Command::Clean => clean::execute(globals),
            Command::Doctor(arguments) => doctor::execute(arguments, globals),
            Command::Completions(arguments) => completions::execute(arguments),
            Command::Man(arguments) => man::execute(arguments),
        }
    }
}

/// Asked before anything is changed.
fn need_root() -> Result<(), RunError> {
    if nix::unistd::geteuid().is_root() { Ok(()) } else { Err(RunError::NotRoot) }
}
