//! What is said on the daemon's socket. Each message of the asking side is JSON, followed by the descriptors that go with it.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;
use std::{io, thread};

use mounter::MountOptions;
use mounter::jail::{ExitOutcome, JailError, JailSpec, User, control};
use nfs_server::view::{ViewSpec, ViewVariation, path_text};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::access::{Accesses, Recording};
use crate::conditions::{ConditionReport, Conditions};
use crate::server::Failure;
use crate::session::PhaseSeconds;

/// The longest message that the daemon takes, in bytes: a view of some thousand store paths has half a million, and the
/// kernel takes six million of arguments and environment.
pub(super) const MESSAGE_MAX: u64 = 16 << 20;

/// How long a message may take to come. Whoever sends it has it complete.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is asked for first: a view, by somebody whose root directory is the first descriptor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenRequest {
    pub view: ViewSpec,
    /// Whom it is for: whoever asks.
    pub user: User,
    pub options: MountOptions,
    pub recording: Recording,
    pub variation: ViewVariation,
    /// Scratches that are to be the machine's own.
    #[serde(default, with = "path_text::all")]
    pub local: Vec<PathBuf>,
    pub conditions: Conditions,
    /// Names that are removed if whoever asks dies, as he himself would do it: each in the directory that is a further
    /// descriptor. Looked up from his root, they might not be found any more: his mounts may end with him.
    pub leftovers: Vec<String>,
}

/// What is asked for then: a program in it, with three descriptors as its standard streams.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RunRequest {
    pub jail: JailSpec,
    pub worthless_on_failure: bool,
}

/// The byte that ends the program alone. The end of the stream ends the session.
pub(super) const STOP: u8 = b'S';

/// What the daemon's side says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Whoever asks may not have that.
    Refused(String),
    /// The view is served.
    Opened { port: Option<u16> },
    /// The view cannot be opened.
    View(Failure),
    /// The program did not start, or its end is unknown.
    Jail(JailError),
    /// The program ended well, but some of what it wrote was refused, and it was not told.
    NotStored(ConditionReport),
    /// Something else failed: what, and each cause.
    Failed(Vec<String>),
    /// The program has stopped, as by Ctrl-Z.
    Stopped,
    /// Nothing is left of the session.
    Ended {
        outcome: ExitOutcome,
        seconds: PhaseSeconds,
        calls: Vec<u64>,
        mounts: u64,
        accesses: Box<Accesses>,
        imposed: ConditionReport,
    },
}

/// Receives a message, which has to be there soon.
///
/// # Errors
/// It is too long, late, or no such message.
pub(super) fn receive<T: DeserializeOwned>(from: &UnixStream) -> io::Result<Option<T>> {
    soon(from, || control::receive_at_most(from, MESSAGE_MAX))
}

/// Does something that ends when a socket is shut down, which happens if it takes too long.
pub(super) fn soon<T>(socket: &UnixStream, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let socket = socket.try_clone()?;
    let (done, over): (Sender<()>, _) = mpsc::channel();
    let watch = move || {
        if over.recv_timeout(MESSAGE_TIMEOUT) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    };
    let watching = thread::Builder::new().name("timeout".into()).spawn(watch)?;
    let result = action();
    drop(done);
    // It does not panic.
    let _ = watching.join();
    result
}
