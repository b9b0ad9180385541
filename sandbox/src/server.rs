//! A view's server, in a process of its own: it holds nothing but what the view shows, and can do nothing but serve it.
//!
//! [`ServerProcess`] is this process's side. The other side is [`serve`]: it opens the view, which may take root, then
//! becomes the user that the view is for ([`confine()`]), and only then reads the first byte of a client.

mod confine;
mod log;
mod options;
mod process;
mod request;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use mounter::jail::{self, JailError, Spawner, control};
use mounter::{Identity, Network};
use nfs_server::view::{Credentials, OpenError, ViewSpec};
use nfs_server::{CallCounts, ServerError};
use serde::{Deserialize, Serialize};

use crate::access::Accesses;
use crate::cancel::Cancel;
use crate::conditions::ConditionReport;
use crate::status::{StatusEvent, StatusInfo, StatusListener};

#[cfg(target_os = "linux")]
pub use confine::can_restrict_files;
pub use confine::{Capability, ConfineError, confine};
pub use options::ServeOptions;
pub use process::serve;
#[cfg(target_os = "linux")]
pub(crate) use request::Failure;
use request::{ServeRequest, ServerCommand, ServerReport};

/// A view that another process serves. Dropping it ends that process.
pub(crate) struct ServerProcess {
    address: SocketAddr,
    export: String,
    identities: Vec<Option<Identity>>,
    control: UnixStream,
    /// What it runs, for whoever asks.
    program: Arc<OnceLock<PathBuf>>,
    process: Option<jail::ServerProcess>,
    listening: Option<JoinHandle<Option<ServerSummary>>>,
    gone: Cancel,
}

/// What a server is started with.
#[derive(Clone, Copy)]
pub(crate) struct ServerSetup<'a> {
    /// The view.
    pub view: &'a ViewSpec,
    /// Whom it is for.
    pub user: &'a jail::User,
    /// How it is served.
    pub options: ServeOptions<'a>,
    /// Where it is answered what the server does.
    pub status: &'a Path,
    /// The root directory of whoever asks for it, if that is somebody who is shown nothing but what he may see himself.
    pub asked_from: Option<BorrowedFd<'a>>,
}

/// What a server reports at its end.
#[derive(Debug, Default)]
pub(crate) struct ServerSummary {
    pub calls: CallCounts,
    pub accesses: Accesses,
    pub imposed: ConditionReport,
}

/// Why another process does not serve a view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The view could not be opened.
    #[error("cannot open the view")]
    View(#[from] OpenError),
    /// It could not be served.
    #[error("cannot serve the view")]
    Server(#[from] ServerError),
    /// The process could not be started or asked.
    #[error("cannot start the process that serves the view")]
    Process(#[source] JailError),
    /// It could not become what it has to be.
    #[error("the process that serves the view cannot {step}")]
    Step {
        /// What failed.
        step: String,
        /// The I/O error.
        source: io::Error,
    },
    /// It ended before it was asked to.
    #[error("the process that serves the view has ended unexpectedly")]
    Gone,
}

/// Who serves a view, and what of root's power he has besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// The user that the server's process becomes.
    pub user: Credentials,
    /// Its capabilities.
    pub capabilities: Vec<Capability>,
}

impl Rights {
    /// Those that a view for this user takes: his own.
    ///
    /// Where root of the machine is root inside as well, it keeps what root has over files: it may read, change and give
    /// away those of others.
    #[must_use]
    pub fn of(user: &jail::User) -> Rights {
        let jail::User { uid, gid, groups, inside } = user;
        let root_inside = *uid == 0 && inside.is_none_or(|inside| inside.uid == 0);
        let all = [Capability::Chown, Capability::DacOverride, Capability::Fowner];
        let capabilities = if root_inside { all.to_vec() } else { Vec::new() };
        Rights { user: Credentials { uid: *uid, gid: *gid, groups: groups.clone() }, capabilities }
    }
}

impl ServerProcess {
    /// Starts it; it answers already.
    ///
    /// # Errors
    /// When the view cannot be opened or served; [`ServeError::Gone`].
    pub fn start(
        spawner: &Spawner,
        network: &Network,
        what: ServerSetup<'_>,
    ) -> Result<ServerProcess, ServeError> {
        let ServerSetup { view, user, options, status, asked_from } = what;
        let began = Instant::now();
        view.validate().map_err(OpenError::from)?;
        let (control, theirs) = UnixStream::pair().map_err(control_failed)?;
        let process = spawner.spawn_server(&theirs, network, asked_from).map_err(ServeError::Process)?;
        drop(theirs);
        let (view, rights, log) = (view.clone(), Rights::of(user), log::level());
        let ServeOptions { recording, variation, local, conditions } = options;
        let (identify, conditions) = (local.to_vec(), conditions.clone());
        let opens_as_user = asked_from.is_some();
        let request =
            ServeRequest { view, rights, opens_as_user, recording, variation, conditions, identify, log };
        control::send(&control, &request).map_err(control_failed)?;
        let (address, export, server_pid, identities) = loop {
            match control::receive(&control).map_err(control_failed)? {
                Some(ServerReport::Log(line)) => line.log(),
                Some(ServerReport::Serves { address, export, pid, identities }) => {
                    break (address, export, pid, identities);
                }
                Some(ServerReport::Failed(failure)) => return Err(failure.into()),
                Some(ServerReport::Ended { .. } | ServerReport::Counted(_)) | None => {
                    return Err(ServeError::Gone);
                }
            }
        };
        let (gone, program) = (Cancel::default(), Arc::default());
        let listening = {
            let (control, gone) = (control.try_clone().map_err(control_failed)?, gone.clone());
            let answering = StatusInfo { uid: user.uid, server_pid, began, program: Arc::clone(&program) };
            // It is of no use to the session itself.
            let status = StatusListener::at(status)
                .inspect_err(|error| tracing::debug!(%error, "nobody can ask what a session does"));
            let status = status.ok().map(|listener| (listener, answering));
            let listen = move || listen(&control, status, &gone);
            std::thread::Builder::new().name("server".into()).spawn(listen).map_err(ServerError::Thread)?
        };
        Ok(ServerProcess {
            address,
            export,
            identities,
            control,
            program,
            process: Some(process),
            listening: Some(listening),
            gone,
        })
    }

    /// Where it serves.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The path to mount.
    pub fn export(&self) -> &str {
        &self.export
    }

    /// What the places show that were to be identified, in their order; nothing for those that show nothing of the host, or
    /// what is neither a directory nor a regular file.
    pub fn identities(&self) -> &[Option<Identity>] {
        &self.identities
    }

    /// Is asked for when the process has ended before it was to.
    pub fn gone(&self) -> &Cancel {
        &self.gone
    }

    /// What runs in the view now.
    pub fn runs(&self, program: &Path) {
        self.program.get_or_init(|| program.into());
    }

    /// Stops serving, and waits for the process's end.
    ///
    /// # Errors
    /// [`ServeError::Gone`] if it had ended before.
    pub fn stop(mut self) -> Result<ServerSummary, ServeError> {
        // If it has gone, its silence says so.
        let _ = control::send(&self.control, &ServerCommand::Stop);
        let served = self.listening.take().and_then(|listening| listening.join().ok().flatten());
        let served = served.ok_or(ServeError::Gone)?;
        if let Some(process) = self.process.take() {
            process.wait().map_err(control_failed)?;
        }
        Ok(served)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Kills it, so that the other thread finds the end of the stream.
        drop(self.process.take());
        if let Some(listening) = self.listening.take() {
            let _ = listening.join();
        }
    }
}

/// Takes what the server tells, until it has told all, and answers those who ask what it does.
fn listen(
    control: &UnixStream,
    mut status: Option<(StatusListener, StatusInfo)>,
    gone: &Cancel,
) -> Option<ServerSummary> {
    loop {
        if let Some((listener, _)) = &mut status
            && let StatusEvent::Asked = listener.wait(control.as_fd())
        {
            // If it has gone, its silence says so.
            let _ = control::send(control, &ServerCommand::Count);
            continue;
        }
        match control::receive(control) {
            Ok(Some(ServerReport::Log(line))) => line.log(),
            Ok(Some(ServerReport::Counted(calls))) => {
                if let Some((listener, answering)) = &mut status {
                    listener.answer(CallCounts::from_numbers(&calls), answering);
                }
            }
            Ok(Some(ServerReport::Ended { calls, accesses, imposed })) => {
                let calls = CallCounts::from_numbers(&calls);
                return Some(ServerSummary { calls, accesses: *accesses, imposed });
            }
            _ => {
                gone.cancel();
                return None;
            }
        }
    }
}

fn control_failed(source: io::Error) -> ServeError {
    ServeError::Process(JailError::Control { source })
}

#[cfg(test)]
mod tests {
    use mounter::jail::{Ids, User};

    use super::*;

    #[test]
    fn only_root_that_is_root_inside_keeps_capabilities() {
        let keeps = |uid, inside| Rights::of(&User { inside, ..User::new(uid, 100) }).capabilities.len();
        let ids = |uid| Some(Ids { uid, gid: 0 });
        assert_eq!([keeps(1000, None), keeps(1000, ids(0)), keeps(0, ids(1000))], [0, 0, 0]);
        assert_eq!([keeps(0, ids(0)), keeps(0, None)], [3, 3]);
    }
}
