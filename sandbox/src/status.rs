//! What sessions do just now. Each answers at a socket beside its run record, so that nothing runs, and nobody knows of a session,
//! that does not live: whoever may open the state directory may ask.

mod listener;

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nfs_server::CallCounts;
use nfs_server::view::path_text;
use serde::{Deserialize, Serialize};

use crate::recovery::{StateDir, StateError};

pub(crate) use listener::{StatusEvent, StatusInfo, StatusListener};

/// How long a session may take to answer.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The longest answer that is read, in bytes: paths and some dozens of numbers.
const ANSWER_MAX: u64 = 1 << 20;

/// One session.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionStatus {
    /// The process that has it: loopbox, or an attendant of its daemon.
    pub pid: u32,
    /// What is served in it; missing when nothing is, as with other backends, or when it does not answer.
    pub served: Option<ServerStatus>,
}

/// What a view's server has done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// The user inside, on the host.
    pub uid: u32,
    /// The program, once it runs.
    #[serde(with = "path_text::optional")]
    pub program: Option<PathBuf>,
    /// How long the view has been there, in seconds.
    pub seconds: f64,
    /// The server's process.
    pub server_pid: u32,
    /// The memory that it occupies, in bytes, where the system says so.
    pub server_memory: Option<u64>,
    /// Calls by procedure (RFC 1813).
    pub nfs_calls: CallCounts,
    /// Bytes that READ has answered with.
    pub bytes_read: u64,
    /// Bytes that WRITE has written.
    pub bytes_written: u64,
}

/// The sessions of this state directory, by the numbers of their processes.
///
/// # Errors
/// If the directory cannot be read.
pub fn sessions(state: &StateDir) -> Result<Vec<SessionStatus>, StateError> {
    let mut sessions: Vec<SessionStatus> = state
        .living()?
        .into_iter()
        .map(|(pid, socket)| SessionStatus {
            pid,
            served: ask(&socket).inspect_err(|error| debug(&socket, error)).ok(),
        })
        .collect();
    sessions.sort_by_key(|session| session.pid);
    Ok(sessions)
}

fn debug(socket: &Path, error: &io::Error) {
    tracing::debug!(?socket, %error, "a session does not answer");
}

fn ask(socket: &Path) -> io::Result<ServerStatus> {
    let connection = listener::at(socket, |path| UnixStream::connect(path))?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    let mut answer = Vec::new();
    connection.take(ANSWER_MAX).read_to_end(&mut answer)?;
    let served: ServerStatus = serde_json::from_slice(&answer)?;
    Ok(ServerStatus { server_memory: memory(served.server_pid), ..served })
}

/// `VmRSS` of proc_pid_status(5).
#[cfg(target_os = "linux")]
fn memory(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(not(target_os = "linux"))]
fn memory(_: u32) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lives_is_listed_and_answers_if_it_can() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        assert!(sessions(&state).unwrap().is_empty());
        let record = state.record(crate::recovery::Leftovers::default()).unwrap();
        let listed = sessions(&state).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].pid == std::process::id() && listed[0].served.is_none());
        drop(record);
        assert!(sessions(&state).unwrap().is_empty());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_occupies_memory() {
        assert!(memory(std::process::id()).unwrap() > 1 << 16);
        assert_eq!(memory(0), None);
    }
}
