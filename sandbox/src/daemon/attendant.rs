//! One request of one user: a process of its own, which the daemon starts and does not need to live.

use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io, thread};

use mounter::jail::{JailError, Spawner, StdioFds, control};
use mounter::unguessable;
use nfs_server::view::{Quota, path_text};
use serde::{Deserialize, Serialize};

use super::Peer;
use super::check;
use super::request::{self, OpenRequest, Reply, RunRequest, STOP};
use crate::backend::{BackendError, Nfs};
use crate::cancel::Cancel;
use crate::causes::chain;
use crate::recovery::StateDir;
use crate::server::{Failure, ServeError, ServeOptions};
use crate::session::{Privilege, Program, Session, SessionError, SessionOutcome, SessionTerminal, Setup};
use crate::work_dir::{Layout, TopDir, WorkDir};

/// How long a process that has closed its connection may take to end, if that is why.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// What the daemon sends to an attendant that it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttendantConfig {
    /// Where it keeps its run record.
    #[serde(with = "path_text")]
    pub state_dir: PathBuf,
    /// What it logs, as a filter of `tracing-subscriber`.
    pub log: String,
    /// What a session may write at most.
    pub quota: Quota,
}

impl AttendantConfig {
    /// Receives it from the daemon.
    ///
    /// # Errors
    /// The daemon died while it sent it.
    pub fn receive(config: &UnixStream) -> io::Result<AttendantConfig> {
        control::receive(config)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

/// Does what one connection asks for, in a process that does nothing else.
///
/// # Errors
/// Whoever asks has gone, or speaks otherwise; what was done for him is undone then.
pub fn attend(connection: &UnixStream, state: &StateDir, spawner: &Spawner, quota: Quota) -> io::Result<()> {
    let peer = Peer::of(connection)?;
    let Some(mut asked) = request::receive::<OpenRequest>(connection)? else { return Ok(()) };
    let mut directories = request::receive_descriptors(connection)?.into_iter();
    let (Some(root), leftovers) = (directories.next(), directories.collect::<Vec<_>>()) else {
        return Err(wrong_descriptors());
    };
    if leftovers.len() != asked.leftovers.len() {
        return Err(wrong_descriptors());
    }
    if let Err(refused) = check::view(&asked, &peer) {
        return request::send(connection, &Reply::Refused(refused));
    }
    asked.conditions.quota = asked.conditions.quota.stricter(quota);
    let attended = attend_view(connection, &asked, &root, &peer, (state, spawner));
    // Whoever has been told, or lives, removes it himself.
    if !matches!(attended, Ok(ReplyStatus::Sent)) && peer.has_ended_after(EXIT_TIMEOUT) {
        remove(leftovers.iter().zip(&asked.leftovers), &peer)?;
    } else {
        // What other attendants may have left who were killed.
        sweep(state);
    }
    match attended {
        // Whoever asked has gone, which is all that it says.
        Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
        attended => attended.map(drop),
    }
}

/// Whether the last reply reached the client.
enum ReplyStatus {
    /// The reply was sent.
    Sent,
    /// The client is gone.
    PeerGone,
}

fn attend_view(
    connection: &UnixStream,
    asked: &OpenRequest,
    root: &OwnedFd,
    peer: &Peer,
    (state, spawner): (&StateDir, &Spawner),
) -> io::Result<ReplyStatus> {
    let tell = |reply: &Reply| request::send(connection, reply).map(|()| ReplyStatus::Sent);
    let top = TopDir::new(state.path().join(unguessable("session")));
    let layout = Layout { tops: vec![top], mount_in: Some(0), reachable: false };
    let work_dir = match WorkDir::create(state, layout) {
        Ok(work_dir) => work_dir,
        Err(error) => return tell(&Reply::failed(&error)),
    };
    let setup = Setup {
        view: &asked.view,
        user: &asked.user,
        backend: &Nfs { options: asked.options.clone() },
        work_dir: &work_dir,
        privilege: Privilege::Lent(spawner, root.as_fd()),
        serve: ServeOptions {
            recording: asked.recording,
            variation: asked.variation,
            local: &asked.local,
            conditions: &asked.conditions,
        },
    };
    let session = match setup.open() {
        Ok(session) => session,
        Err(error) => return tell(&Reply::from(error)),
    };
    request::send(connection, &Reply::Opened { port: session.port() })?;
    // Whoever asks looks into the view first, and may have to read some programs.
    let Some(mut run) = control::receive_at_most::<RunRequest>(connection, request::MESSAGE_MAX)? else {
        return Ok(ReplyStatus::PeerGone);
    };
    let [stdin, stdout, stderr] =
        request::receive_descriptors(connection)?.try_into().map_err(|_| wrong_descriptors())?;
    if let Err(refused) = check::jail(&mut run.jail, &asked.user, peer) {
        return tell(&Reply::Refused(refused));
    }
    let program = run.jail.program.clone();
    tracing::info!(user = peer.name(), ?program, "a session begins");
    let gone = Cancel::default();
    let ended = run_in(session, run, StdioFds { stdin, stdout, stderr }, connection, &gone)?;
    drop(work_dir);
    tracing::info!(user = peer.name(), ?program, "a session has ended");
    if gone.is_cancelled() { Ok(ReplyStatus::PeerGone) } else { tell(&ended) }
}

fn run_in(
    session: Session<'_>,
    RunRequest { jail, worthless_on_failure }: RunRequest,
    stdio: StdioFds,
    connection: &UnixStream,
    gone: &Cancel,
) -> io::Result<Reply> {
    let stop = Cancel::default();
    let watched = (connection.try_clone()?, gone.clone(), stop.clone());
    thread::Builder::new().name("commands".into()).spawn(move || watch(watched.0, &watched.1, &watched.2))?;
    let terminal = match jail.terminal {
        true => Some(Arc::new(StopNotifier(connection.try_clone()?)) as Arc<dyn SessionTerminal>),
        false => None,
    };
    let ended =
        session.run(Program { jail, stdio, terminal, cancel: gone, stop: &stop, worthless_on_failure });
    Ok(ended.into())
}

/// Ends the program when that is asked for, and everything when whoever asks is gone.
fn watch(mut connection: UnixStream, gone: &Cancel, stop: &Cancel) {
    let mut command = [0];
    while connection.read_exact(&mut command).is_ok() && command == [STOP] {
        stop.cancel();
    }
    gone.cancel();
}

/// Tells the client that its program was stopped by a signal.
struct StopNotifier(UnixStream);

impl fmt::Debug for StopNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StopNotifier")
    }
}

impl SessionTerminal for StopNotifier {
    /// He has made it ready himself.
    fn begin(&self, _uid: u32) -> io::Result<()> {
        Ok(())
    }

    fn stopped(&self) {
        // If he is gone, that ends the session anyway.
        let _ = request::send(&self.0, &Reply::Stopped);
    }
}

/// Removes what somebody leaves behind who has died, as himself: with his rights over files, in directories that he has opened.
///
/// Only this thread's rights over files are his: whatever kills his processes has nothing to do with this one.
fn remove<'a>(leftovers: impl Iterator<Item = (&'a OwnedFd, &'a String)>, peer: &Peer) -> io::Result<()> {
    mounter::rights::set_file_credentials(peer.uid, peer.gid, &peer.groups)?;
    for (directory, name) in leftovers {
        let left = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        if let Err(error) = mounter::tree::remove(&left) {
            tracing::warn!(name, %error, "cannot remove what a dead process has left");
        }
    }
    Ok(())
}

fn sweep(state: &StateDir) {
    if let Err(error) = state.sweep() {
        tracing::warn!("cannot look for what dead sessions have left: {error}");
    }
}

fn wrong_descriptors() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "another number of descriptors is due")
}

impl Reply {
    fn failed(error: &(dyn std::error::Error + 'static)) -> Reply {
        Reply::Failed(chain(error).map(ToString::to_string).collect())
    }
}

impl From<BackendError> for Reply {
    fn from(error: BackendError) -> Reply {
        match error {
            BackendError::View(error) => Reply::View(Failure::from(error)),
            BackendError::Serve(ServeError::Step { step, source }) => Reply::View(Failure::of(&step, source)),
            other => Reply::failed(&other),
        }
    }
}

impl From<Result<SessionOutcome, SessionError>> for Reply {
    fn from(ended: Result<SessionOutcome, SessionError>) -> Reply {
        match ended {
            Ok(SessionOutcome { outcome, times, usage, accesses, imposed, .. }) => Reply::Ended {
                outcome,
                seconds: times.seconds(),
                calls: usage.nfs_calls.to_numbers(),
                mounts: usage.mounts,
                accesses: Box::new(accesses),
                imposed,
            },
            Err(SessionError::Jail(error)) => Reply::Jail(error),
            Err(SessionError::NotStored { imposed }) => Reply::NotStored(imposed),
            Err(SessionError::Execute { program, error, .. }) => {
                Reply::Jail(JailError::Exec { program, source: error })
            }
            Err(SessionError::Backend(error)) => error.into(),
            Err(other) => Reply::failed(&other),
        }
    }
}
