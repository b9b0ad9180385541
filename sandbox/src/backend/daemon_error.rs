//! Why the daemon did not help, as whoever asks it is told.

use std::io;
use std::path::PathBuf;

/// Why the daemon did not help.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DaemonError {
    /// Nobody listens.
    #[error("cannot connect to loopbox's daemon at {socket:?}")]
    Connect {
        /// The daemon's socket.
        socket: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It may not be had.
    #[error("loopbox's daemon refuses: {0}")]
    Refused(String),
    /// The daemon has no other backend.
    #[error("loopbox's daemon has the backend nfs alone")]
    Backend,
    /// It has failed.
    #[error("loopbox's daemon cannot do it")]
    Failed(#[source] RemoteError),
    /// It could not be spoken to.
    #[error("cannot communicate with loopbox's daemon")]
    Control(#[source] io::Error),
    /// The attendant has died.
    #[error("loopbox's daemon has closed the session; everything in it was killed")]
    Gone,
}

/// An error that another process has sent, with its causes.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub struct RemoteError {
    said: String,
    source: Option<Box<RemoteError>>,
}

impl RemoteError {
    pub(crate) fn new(causes: Vec<String>) -> RemoteError {
        let cause =
            |source: Option<RemoteError>, said| Some(RemoteError { said, source: source.map(Box::new) });
        let told = causes.into_iter().rev().fold(None, cause);
        told.unwrap_or_else(|| RemoteError { said: "it does not say why".into(), source: None })
    }
}
