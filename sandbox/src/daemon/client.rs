//! Asking the daemon for a session.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mounter::jail::{JailError, JailSpec, StdioFds, control};
use nfs_server::CallCounts;
use nfs_server::view::{OpenError, View, ViewOptions, ViewSpec};

use super::request::{OpenRequest, Reply, RunRequest, STOP};
use crate::backend::{BackendError, DaemonError, RemoteError, ResourceUsage};
use crate::cancel::Cancel;
use crate::session::{
    self, PhaseSeconds, PhaseTimes, Program, ProvidedSession, SessionError, SessionOutcome, SessionProvider,
    SessionTerminal, Setup,
};

/// loopbox's daemon, by its socket.
#[derive(Clone, Debug)]
pub struct Daemon {
    socket: PathBuf,
}

/// A view that the daemon has made for this process.
struct DaemonSession<'a> {
    connection: UnixStream,
    spec: &'a ViewSpec,
    /// Opened when somebody asks: what serves it is another process's.
    view: OnceCell<View>,
    port: Option<u16>,
    opened: Instant,
}

impl Daemon {
    /// The one that listens here.
    #[must_use]
    pub fn at(socket: &Path) -> Daemon {
        Daemon { socket: socket.into() }
    }

    fn ask<'a>(&self, setup: &Setup<'a>) -> Result<DaemonSession<'a>, BackendError> {
        let Setup { view, user, backend, work_dir, serve, .. } = *setup;
        let options = backend.mount_options().ok_or(DaemonError::Backend)?.clone();
        view.validate().map_err(OpenError::from)?;
        let opened = Instant::now();
        let open = |path: &Path| File::open(path).map_err(DaemonError::Control);
        let failed = |source| DaemonError::Connect { socket: self.socket.clone(), source };
        let connection = UnixStream::connect(&self.socket).map_err(failed)?;
        let (mut leftovers, mut directories) = (Vec::new(), vec![open("/".as_ref())?]);
        for top in work_dir.tops() {
            if let (Some(holder), Some(name)) = (top.parent(), top.file_name().and_then(OsStr::to_str)) {
                leftovers.push(name.into());
                directories.push(open(holder)?);
            }
        }
        let request = OpenRequest {
            view: view.clone(),
            user: user.clone(),
            options,
            recording: serve.recording,
            variation: serve.variation,
            conditions: serve.conditions.clone(),
            local: serve.local.to_vec(),
            leftovers,
        };
        let sent = control::send(&connection, &request).and_then(|()| {
            let descriptors: Vec<_> = directories.iter().map(AsFd::as_fd).collect();
            control::send_descriptors(&connection, 0, &descriptors)
        });
        match answer(&connection, sent)? {
            Reply::Opened { port } => {
                Ok(DaemonSession { connection, spec: view, view: OnceCell::new(), port, opened })
            }
            Reply::View(failure) => Err(crate::server::ServeError::from(failure).into()),
            other => Err(other.into_error().into()),
        }
    }
}

impl SessionProvider for Daemon {
    fn open<'a>(&self, setup: &Setup<'a>) -> Result<Box<dyn ProvidedSession + 'a>, BackendError> {
        Ok(Box::new(self.ask(setup)?))
    }
}

impl ProvidedSession for DaemonSession<'_> {
    fn view(&self) -> Result<&View, OpenError> {
        if let Some(view) = self.view.get() {
            return Ok(view);
        }
        let options = ViewOptions { prepares_scratches: false, ..ViewOptions::default() };
        let view = View::open_with(self.spec, options)?;
        Ok(self.view.get_or_init(|| view))
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn run(self: Box<Self>, program: Program<'_>) -> Result<SessionOutcome, SessionError> {
        let Program { mut jail, stdio, terminal, cancel, stop, worthless_on_failure } = program;
        if let Some(terminal) = &terminal {
            (jail.terminal, jail.own_init) = (true, true);
            terminal.begin(jail.user.uid).map_err(SessionError::Terminal)?;
        }
        let request = RunRequest { jail, worthless_on_failure };
        let StdioFds { stdin, stdout, stderr } = &stdio;
        let sent = control::send(&self.connection, &request).and_then(|()| {
            control::send_descriptors(&self.connection, 0, &[stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
        });
        drop(stdio);
        let ended = {
            let stoppable = self.stoppable(cancel, stop).map_err(DaemonError::Control);
            stoppable.and_then(|_stoppable| self.wait(sent, terminal.as_deref()))
        };
        if cancel.is_cancelled() {
            return Err(SessionError::Interrupted);
        }
        self.ended(ended.map_err(BackendError::from)?, &request.jail)
    }
}

impl DaemonSession<'_> {
    /// What ends the program, or everything.
    fn stoppable(&self, cancel: &Cancel, stop: &Cancel) -> io::Result<impl Sized> {
        let (all, program) = (self.connection.try_clone()?, self.connection.try_clone()?);
        Ok([
            cancel.on_cancel(move || {
                // If it has ended meanwhile, there is nobody to be told.
                let _ = all.shutdown(Shutdown::Write);
            }),
            stop.on_cancel(move || {
                let _ = (&program).write_all(&[STOP]);
            }),
        ])
    }

    fn wait(
        &self,
        mut sent: io::Result<()>,
        terminal: Option<&dyn SessionTerminal>,
    ) -> Result<Reply, DaemonError> {
        loop {
            match answer(&self.connection, std::mem::replace(&mut sent, Ok(())))? {
                Reply::Stopped => terminal.into_iter().for_each(SessionTerminal::stopped),
                last => return Ok(last),
            }
        }
    }

    fn ended(&self, last: Reply, jail: &JailSpec) -> Result<SessionOutcome, SessionError> {
        match last {
            Reply::Ended { outcome, seconds, calls, mounts, mut accesses, imposed } => {
                accesses.add_scratches(self.spec);
                let missing = if session::may_lack_a_file(outcome) { self.missing(jail) } else { None };
                let nfs_calls = CallCounts::from_numbers(&calls);
                Ok(SessionOutcome {
                    outcome,
                    times: self.times(seconds),
                    usage: ResourceUsage { nfs_calls, mounts, ..ResourceUsage::default() },
                    accesses: *accesses,
                    imposed,
                    missing,
                })
            }
            Reply::Jail(JailError::Exec { program, source }) => {
                Err(SessionError::Execute { program, error: source, missing: self.missing(jail) })
            }
            Reply::Jail(error) => Err(SessionError::Jail(error)),
            Reply::NotStored(imposed) => Err(SessionError::NotStored { imposed }),
            other => Err(BackendError::from(other.into_error()).into()),
        }
    }

    fn missing(&self, jail: &JailSpec) -> Option<crate::program::ProgramError> {
        session::missing(self.view().ok()?, jail)
    }

    /// When the phases began, by how long they took.
    fn times(&self, seconds: PhaseSeconds) -> PhaseTimes {
        let gone = Instant::now();
        let before = |later: Instant, seconds: f64| {
            let earlier = Duration::try_from_secs_f64(seconds).ok().and_then(|took| later.checked_sub(took));
            earlier.unwrap_or(self.opened).max(self.opened)
        };
        let ended = before(gone, seconds.teardown);
        PhaseTimes { opened: self.opened, started: before(ended, seconds.run), ended, gone }
    }
}

impl Reply {
    fn into_error(self) -> DaemonError {
        match self {
            Reply::Refused(why) => DaemonError::Refused(why),
            Reply::Failed(causes) => DaemonError::Failed(RemoteError::new(causes)),
            other => DaemonError::Control(io::Error::other(format!("{other:?} was not expected"))),
        }
    }
}

/// The next reply. Where something could not be sent, it says why, if there is one.
fn answer(connection: &UnixStream, sent: io::Result<()>) -> Result<Reply, DaemonError> {
    match (control::receive(connection), sent) {
        (Ok(Some(reply)), _) => Ok(reply),
        (Ok(None), Ok(())) => Err(DaemonError::Gone),
        (_, Err(error)) | (Err(error), Ok(())) => Err(DaemonError::Control(error)),
    }
}
