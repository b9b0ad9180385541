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
use crate::conditions::{Conditions, Imposed};

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

/// To the server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// It is to tell what it has done so far.
    Count,
    /// The client is done.
    Stop,
}

/// From the server.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromServer {
    /// Something for the log.
    Log(Line),
    /// It answers.
    Serves { address: SocketAddr, export: String, pid: u32, identities: Vec<Option<Identity>> },
    /// What it has done so far.
    Counted(Vec<u64>),
    /// It cannot serve.
    Failed(Failure),
    /// It has served.
    Ended { calls: Vec<u64>, accesses: Box<Accesses>, imposed: Imposed },
}

/// Something that the server logs.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line {
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
