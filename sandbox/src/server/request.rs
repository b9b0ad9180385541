//! What the two sides of a server's control socket tell each other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use mounter::{Identity, errno};
use nfs_server::ServerError;
use nfs_server::view::{OpenError, ViewSpec, ViewVariation, path_text};
use serde::{Deserialize, Serialize};

use super::{Rights, ServeError};
use crate::access::{Accesses, Recording};
use crate::conditions::{ConditionReport, Conditions};

/// What is to be served, and by whom.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServeRequest {
    pub view: ViewSpec,
    /// What the server becomes. The user is the only one that it answers, but for root.
    pub rights: Rights,
    /// Whether it becomes this user before it opens the view, which then shows nothing but what he may see.
    pub opens_as_user: bool,
    /// What it remembers of what is asked for.
    pub recording: Recording,
    /// What it shows otherwise than it is.
    pub variation: ViewVariation,
    /// Places of the view of whose host files it tells what they are.
    #[serde(with = "path_text::all")]
    pub identify: Vec<PathBuf>,
    /// What it makes harder than it has to be.
    pub conditions: Conditions,
    /// The level down to which it tells what it logs.
    pub log: String,
}

/// From whoever started it to the server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ServerCommand {
    /// It is to tell what it has done so far.
    Count,
    /// The client is done.
    Stop,
}

/// From the server to whoever started it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ServerReport {
    /// Something for the log.
    Log(LogLine),
    /// It answers.
    Serves { address: SocketAddr, export: String, pid: u32, identities: Vec<Option<Identity>> },
    /// What it has done so far.
    Counted(Vec<u64>),
    /// It cannot serve.
    Failed(Failure),
    /// It has served.
    Ended { calls: Vec<u64>, accesses: Box<Accesses>, imposed: ConditionReport },
}

/// A line of the server's log.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogLine {
    pub level: String,
    pub text: String,
}

/// Why a view cannot be served, in a form that can be sent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failure {
    Missing {
        #[serde(with = "path_text")]
        at: PathBuf,
        #[serde(with = "path_text")]
        source_path: PathBuf,
    },
    Source {
        step: String,
        #[serde(with = "path_text")]
        at: PathBuf,
        #[serde(with = "path_text")]
        source_path: PathBuf,
        #[serde(with = "errno")]
        error: io::Error,
    },
    NotDirectory {
        #[serde(with = "path_text")]
        at: PathBuf,
        #[serde(with = "path_text")]
        source_path: PathBuf,
    },
    Case {
        #[serde(with = "path_text")]
        first: PathBuf,
        #[serde(with = "path_text")]
        second: PathBuf,
    },
    Peers(String),
    Other {
        step: String,
        #[serde(with = "errno")]
        error: io::Error,
    },
}

impl Failure {
    /// A step that failed.
    pub fn of(step: &str, error: io::Error) -> Failure {
        Failure::Other { step: step.into(), error }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Failure {
        match error {
            OpenError::Missing { at, source_path } => Failure::Missing { at, source_path },
            OpenError::Source { step, at, source_path, source } => {
                Failure::Source { step: step.into(), at, source_path, error: source }
            }
            OpenError::NotDirectory { at, source_path } => Failure::NotDirectory { at, source_path },
            OpenError::Case { first, second } => Failure::Case { first, second },
            other => Failure::of("open the view", io::Error::other(other.to_string())),
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Failure {
        match error {
            ServerError::Peers(text) => Failure::Peers(text),
            ServerError::Random(source) => Failure::of("get random numbers from the system", source),
            ServerError::Listen(source) => Failure::of("listen on a port of 127.0.0.1", source),
            ServerError::Thread(source) => Failure::of("start a thread", source),
            other => Failure::of("serve the view", io::Error::other(other.to_string())),
        }
    }
}

impl From<Failure> for ServeError {
    fn from(failure: Failure) -> ServeError {
        let open = ServeError::View;
        match failure {
            Failure::Missing { at, source_path } => open(OpenError::Missing { at, source_path }),
            Failure::Source { step, at, source_path, error } => {
                open(OpenError::Source { step: step.into(), at, source_path, source: error })
            }
            Failure::NotDirectory { at, source_path } => open(OpenError::NotDirectory { at, source_path }),
            Failure::Case { first, second } => open(OpenError::Case { first, second }),
            Failure::Peers(text) => ServeError::Server(ServerError::Peers(text)),
            Failure::Other { step, error } => ServeError::Step { step, source: error },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use nix::errno::Errno;

    use super::*;
    use crate::causes::in_a_line;

    /// What the process that started the server says of what the server told it.
    fn on_the_other_side(failure: &Failure) -> ServeError {
        let sent = serde_json::to_vec(failure).unwrap();
        serde_json::from_slice::<Failure>(&sent).unwrap().into()
    }

    #[test]
    fn what_keeps_a_view_from_being_opened_is_the_same_on_both_sides() {
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let (at, source_path) = (path(b"/at\xff"), path(b"/source\xfe"));
        let errors = [
            OpenError::Missing { at: at.clone(), source_path: source_path.clone() },
            OpenError::NotDirectory { at: at.clone(), source_path: source_path.clone() },
            OpenError::Case { first: at.clone(), second: path(b"/AT\xff") },
            OpenError::Source { step: "open".into(), at, source_path, source: Errno::ELOOP.into() },
        ];
        for error in errors {
            let here = in_a_line(&error);
            let there = on_the_other_side(&error.into());
            assert_eq!(in_a_line(&there), format!("cannot open the view: {here}"));
        }
    }

    #[test]
    fn a_step_that_failed_keeps_its_error_number() {
        let error = || io::Error::from(Errno::EMFILE);
        for (failure, step) in [
            (Failure::from(ServerError::Random(error())), "get random numbers from the system"),
            (Failure::from(ServerError::Listen(error())), "listen on a port of 127.0.0.1"),
            (Failure::from(ServerError::Thread(error())), "start a thread"),
            (Failure::of("become its user", error()), "become its user"),
        ] {
            let ServeError::Step { step: told, source } = on_the_other_side(&failure) else {
                panic!("{failure:?} is no step");
            };
            assert_eq!((told.as_str(), source.raw_os_error()), (step, Some(Errno::EMFILE as i32)));
        }
    }

    #[test]
    fn why_connections_cannot_be_told_apart_is_told() {
        let error = on_the_other_side(&ServerError::Peers("no /proc".into()).into());
        assert_eq!(
            in_a_line(&error),
            "cannot serve the view: cannot tell the kernel's connections from those of other programs: no /proc"
        );
    }
}
