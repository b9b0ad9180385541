//! The daemon itself: it accepts connections, looks at who has connected, and starts attendants.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use defences::Defence;
use mounter::jail::{AttendantProcess, Spawner, control};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};

use super::control_groups::{ControlGroup, ControlGroups};
use super::request::Reply;
use super::{AttendantConfig, Peer, Policy};
use crate::cancel::Cancel;

/// How often attendants that have ended are reaped while nobody connects, in milliseconds.
const REAP: u16 = 1000;

/// How long somebody who is refused may take to read why.
const REFUSAL: Duration = Duration::from_millis(100);

/// A socket that everybody may connect to.
#[derive(Debug)]
pub struct DaemonListener {
    listener: UnixListener,
    /// Its place, if it was made here and is to be removed.
    made: Option<PathBuf>,
}

/// The daemon cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Something else is there.
    #[error("{path:?} exists and is not a socket")]
    NoSocket {
        /// The path.
        path: PathBuf,
    },
    /// Another daemon listens there.
    #[error("a daemon listens at {path:?} already")]
    Taken {
        /// The socket.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen at {path:?}")]
    Listen {
        /// The socket.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Connections cannot be accepted any more.
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
}

impl DaemonListener {
    /// On a new socket; one that a dead daemon has left is replaced.
    ///
    /// # Errors
    /// The socket cannot be made there.
    pub fn at(path: &Path) -> Result<DaemonListener, ListenError> {
        let listen = |source| ListenError::Listen { path: path.into(), source };
        match path.symlink_metadata() {
            Ok(metadata) if !metadata.file_type().is_socket() => {
                return Err(ListenError::NoSocket { path: path.into() });
            }
            Ok(_) if UnixStream::connect(path).is_ok() => {
                return Err(ListenError::Taken { path: path.into() });
            }
            Ok(_) => fs::remove_file(path).map_err(listen)?,
            Err(_) => {}
        }
        // It appears with its mode: whoever waits for it connects at once.
        let new = path.with_extension("new");
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(listen(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&new).map_err(listen)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o666)).map_err(listen)?;
        fs::rename(&new, path).map_err(listen)?;
        Ok(DaemonListener { listener, made: Some(path.into()) })
    }

    /// On a socket that somebody else listens on as well, and passes on: systemd's (`sd_listen_fds(3)`).
    #[must_use]
    pub fn on(socket: OwnedFd) -> DaemonListener {
        DaemonListener { listener: socket.into(), made: None }
    }
}

impl Drop for DaemonListener {
    fn drop(&mut self) {
        if let Some(path) = &self.made {
            // Somebody may have removed it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Serves until it is asked to stop. Attendants that it has started go on.
///
/// # Errors
/// [`ListenError::Accept`].
pub fn serve(
    listening: &DaemonListener,
    policy: &Policy,
    spawner: &Spawner,
    config: &AttendantConfig,
    stop: &Cancel,
) -> Result<(), ListenError> {
    let (stopped, wake) = io::pipe().map_err(ListenError::Accept)?;
    let wake = std::sync::Mutex::new(Some(wake));
    let _stoppable = stop.on_cancel(move || drop(wake.lock().map(|mut wake| wake.take())));
    listening.listener.set_nonblocking(true).map_err(ListenError::Accept)?;
    let mut sessions =
        Sessions { groups: ControlGroups::delegated(), attendants: Vec::new(), ended: Vec::new() };
    while !stop.is_cancelled() {
        let mut ready = [
            PollFd::new(listening.listener.as_fd(), PollFlags::POLLIN),
            PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        ];
        let timeout = if sessions.are_over() { PollTimeout::NONE } else { PollTimeout::from(REAP) };
        match poll(&mut ready, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(ListenError::Accept(errno.into())),
        }
        sessions.reap();
        match listening.listener.accept() {
            Ok((connection, _)) => sessions.begin(&connection, policy, (spawner, config)),
            // Nobody is there, or has gone again; or this process has too much open for the moment.
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(ListenError::Accept(error)),
        }
    }
    Ok(())
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, Interrupted, WouldBlock};
    if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS)) {
        std::thread::sleep(REFUSAL);
        return true;
    }
    matches!(error.kind(), WouldBlock | Interrupted | ConnectionAborted)
}

/// What goes on.
struct Sessions {
    groups: Option<ControlGroups>,
    attendants: Vec<Attendant>,
    /// Groups of sessions that have ended, which may have processes for a moment.
    ended: Vec<ControlGroup>,
}

/// One process that attends to a user.
struct Attendant {
    uid: u32,
    process: AttendantProcess,
    group: Option<ControlGroup>,
}

impl Sessions {
    fn reap(&mut self) {
        let ended = self.attendants.extract_if(.., |attendant| attendant.process.has_ended());
        self.ended.extend(ended.filter_map(|attendant| attendant.group));
        self.ended.retain(|group| !group.remove());
    }

    /// Whether nothing is left to be reaped.
    fn are_over(&self) -> bool {
        self.attendants.is_empty() && self.ended.is_empty()
    }

    fn begin(
        &mut self,
        connection: &UnixStream,
        policy: &Policy,
        (spawner, config): (&Spawner, &AttendantConfig),
    ) {
        let begun = connection.set_nonblocking(false).and_then(|()| Peer::of(connection)).and_then(|peer| {
            if let Some(refused) = self.refuses(&peer, policy) {
                return refuse(connection, refused);
            }
            if has_gone(connection) {
                return Ok(());
            }
            let (sends, receives) = UnixStream::pair()?;
            // It fits what the kernel keeps for a socket.
            control::send(&sends, config)?;
            let group = self.groups.as_ref().and_then(ControlGroups::create);
            match spawner.spawn_attendant(connection, &receives, group.as_ref().map(AsFd::as_fd)) {
                Ok(process) => self.attendants.push(Attendant { uid: peer.uid, process, group }),
                Err(error) => {
                    self.ended.extend(group);
                    return Err(io::Error::other(error));
                }
            }
            Ok(())
        });
        if let Err(error) = begun {
            tracing::warn!("cannot attend to a connection: {error}");
        }
    }

    fn refuses(&self, peer: &Peer, policy: &Policy) -> Option<String> {
        let of_user = self.attendants.iter().filter(|attendant| attendant.uid == peer.uid).count();
        if !policy.allows(peer) {
            return Some(format!("{} is not among those who may use it", peer.name()));
        }
        if of_user >= policy.max_sessions_per_user && Defence::Attendants.stands() {
            return Some(format!("{} has {of_user} sessions already", peer.name()));
        }
        let all = self.attendants.len();
        (all >= policy.max_sessions).then(|| format!("there are {all} sessions already"))
    }
}

/// Whether the other side has closed already, and said nothing: that costs no process.
fn has_gone(connection: &UnixStream) -> bool {
    recv(connection.as_raw_fd(), &mut [0], MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT) == Ok(0)
}

/// Says so to somebody who may not be listening.
fn refuse(connection: &UnixStream, why: String) -> io::Result<()> {
    connection.set_write_timeout(Some(REFUSAL))?;
    // He may have gone.
    let _ = control::send(connection, &Reply::Refused(why));
    Ok(())
}
