//! `loopbox setup`: have Nix leave running builders to loopbox, on this machine.

#[cfg(target_os = "linux")]
mod execute;

#[cfg(target_os = "linux")]
pub use execute::execute;

/// Have Nix leave running builders to loopbox: print what it takes, write it, take it back, or try it
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "read where there is a daemon"))]
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print the files with their contents, and what has to be run then; what happens without any option
    #[arg(long)]
    print: bool,
    /// Write the files, keeping what was there, start the services where there is systemd, and build a trial
    #[arg(long, conflicts_with = "print")]
    write: bool,
    /// Take back what was written
    #[arg(long, conflicts_with_all = ["print", "write"])]
    undo: bool,
    /// Build a trial, and see that it was built in a view
    #[arg(long, conflicts_with_all = ["print", "write", "undo"])]
    verify: bool,
}
