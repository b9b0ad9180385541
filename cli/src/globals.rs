//! Options that every command has.

use std::path::PathBuf;

use clap::ArgAction;

use crate::terminal::WorkerTerminal;

/// On Linux empty after the machine has started. On macOS it stays, with what has been found out about the system.
pub const STATE_DIR: &str =
    if cfg!(target_os = "macos") { "/private/var/db/loopbox" } else { "/run/loopbox" };

/// They stand by themselves in what every command says of its options.
const HEADING: &str = "Global options";

/// Options that every command has.
#[derive(Clone, Debug, clap::Args)]
pub struct Globals {
    /// Say more of what is done: once for what happens, twice for all of it. LOOPBOX_LOG may say it more exactly, as a filter
    /// of Rust's 'tracing'
    #[arg(short, long, global = true, help_heading = HEADING, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, help_heading = HEADING, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Where loopbox records its mounts and temporary directories, for a later run to clean up
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "DIR",
        env = "LOOPBOX_STATE_DIR",
        default_value = STATE_DIR
    )]
    pub state_dir: PathBuf,
    /// Socket of loopbox's daemon, which mounts views for users other than root
    #[arg(
        long,
        global = true,
        help_heading = HEADING,
        value_name = "SOCKET",
        env = "LOOPBOX_SOCKET",
        default_value = "/run/loopbox.socket"
    )]
    pub socket: PathBuf,
    /// The terminal that this process was started on for its program, by another loopbox.
    #[arg(skip)]
    pub terminal: Option<WorkerTerminal>,
}
