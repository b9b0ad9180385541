//! The statuses that loopbox exits with.

use std::process::ExitCode;

/// loopbox itself failed: nothing can be said about the command that it should have run.
pub const FAILED: u8 = 125;
/// The program exists in the view but cannot be executed (as `env` and `chroot` answer).
pub const CANNOT_EXECUTE: u8 = 126;
/// The program does not exist in the view (as `env` and `chroot` answer).
pub const NOT_FOUND: u8 = 127;
/// What is to be built cannot be evaluated (as Nix's programs answer).
pub const NIX_ERROR: u8 = 1;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// What was to be compared cannot be built (as Nix answers to a builder that fails).
pub const NOT_BUILT: u8 = 100;
/// What was compared differs (as Nix answers to `--check`).
pub const DIFFERS: u8 = 104;
/// What was asked for is not allowed (as `build` and `run` answer to `--strict`). Nix answers nothing above 111.
pub const UNDECLARED: u8 = builder::status::UNDECLARED;
/// Added to the number of the signal that ended a command (as shells answer).
pub const SIGNAL: u8 = 128;

/// How a command that did its work ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All went well.
    Done,
    /// The command or builder inside ended with this status.
    Exited(i32),
    /// The command or builder inside was ended by this signal, or loopbox was asked to stop with it.
    Signaled(i32),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        match status {
            Status::Done => ExitCode::SUCCESS,
            // A status has eight bits; the kernel reports no others.
            Status::Exited(code) => ExitCode::from((code & 0xff) as u8),
            Status::Signaled(signal) => ExitCode::from(SIGNAL.saturating_add((signal & 0x7f) as u8)),
        }
    }
}
