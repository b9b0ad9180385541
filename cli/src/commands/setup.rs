//! `loopbox setup`: have Nix leave running builders to loopbox, on this machine.

#[cfg(target_os = "linux")]
mod execute;

#[cfg(target_os = "linux")]
pub use execute::execute;

/// Have Nix run builders by loopbox: print the configuration, write it, undo it, or verify it
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "read where there is a daemon"))]
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Print the files with their contents, and the commands to run then: the default
    #[arg(long)]
    print: bool,
    /// Write the files, keeping what was there, start the services where there is systemd, and build a test derivation
    #[arg(long, conflicts_with = "print")]
    write: bool,
    /// Undo what was written
    #[arg(long, conflicts_with_all = ["print", "write"])]
    undo: bool,
    /// Build a test derivation, and verify that it was built in a view
    #[arg(long, conflicts_with_all = ["print", "write", "undo"])]
    verify: bool,
}
