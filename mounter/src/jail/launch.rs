//! loopbox's side of a jail: start it, kill it, wait for it.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;

use super::control::{self, KILL, Report, SERVER_GONE};
use super::spawner::{Spawned, Spawner};
use super::stdio::StdioFds;
use super::{JailError, SpawnRequest};
use crate::MountError;
use crate::child::{ExitOutcome, Handle};

/// A jail whose program runs. Dropping it kills everything inside and waits until the mount is gone.
#[derive(Debug)]
pub struct Jail {
    supervisor: Spawned,
    control: Arc<UnixStream>,
    program: Option<Handle>,
    on_stop: Option<StopCallback>,
    /// Where everybody sees the view, which its supervisor takes away unless it is killed.
    #[cfg(not(target_os = "linux"))]
    mount_point: Option<std::path::PathBuf>,
    over: bool,
}

/// Called whenever the program of a jail is stopped by a signal.
struct StopCallback(Box<dyn Fn() + Send>);

/// Kills everything inside a jail, from any thread. It may outlive the jail, and then does nothing.
#[derive(Clone, Debug)]
pub struct Killer {
    control: Arc<UnixStream>,
}

/// How a jail ended.
#[derive(Debug)]
pub struct JailExit {
    /// The exit status of its program, or the signal that ended it.
    pub outcome: ExitOutcome,
    /// Whether its mount was unmounted with all that was written.
    pub unmounted: Result<(), MountError>,
    /// How long it took to take the root away once the program had ended.
    pub unmounting: Duration,
}

impl Jail {
    /// Starts a supervisor and returns when the program was executed.
    ///
    /// # Errors
    /// The step that failed. Nothing is left then.
    pub fn spawn(spawner: &Spawner, request: &SpawnRequest, stdio: StdioFds) -> Result<Jail, JailError> {
        Jail::begin(spawner, request, stdio)?.wait_until_started()
    }

    /// Starts a supervisor, which makes the jail. Meanwhile it can be killed; [`Jail::wait_until_started`] waits for it.
    ///
    /// # Errors
    /// The step that failed. Nothing is left then.
    pub fn begin(spawner: &Spawner, request: &SpawnRequest, stdio: StdioFds) -> Result<Jail, JailError> {
        request.validate()?;
        let (ours, theirs) = UnixStream::pair().map_err(|source| JailError::Control { source })?;
        let supervisor = spawner.spawn(stdio, &theirs)?;
        // Its end is waited for.
        drop(theirs);
        let jail = Jail {
            supervisor,
            control: Arc::new(ours),
            program: None,
            on_stop: None,
            #[cfg(not(target_os = "linux"))]
            mount_point: matches!(request.root, super::Root::Nfs { .. })
                .then(|| request.root.path().into_owned()),
            over: false,
        };
        if let Err(source) = control::send(&*jail.control, request) {
            // The supervisor waits for all of it, or for the end of the stream.
            let _ = jail.control.shutdown(Shutdown::Both);
            return Err(JailError::Control { source });
        }
        Ok(jail)
    }

    /// Waits until the program was executed.
    ///
    /// # Errors
    /// The step that failed; [`JailError::SupervisorDied`] if it was killed meanwhile. Nothing is left then.
    pub fn wait_until_started(mut self) -> Result<Jail, JailError> {
        match self.receive()? {
            Report::Started { pid } => {
                // It may have ended already; then there is nothing that would have to be killed.
                self.program = Handle::of(Pid::from_raw(pid)).ok();
                Ok(self)
            }
            Report::Failed(error) | Report::Lost(error) => Err(error),
            Report::Stopped | Report::Ended { .. } => Err(JailError::SupervisorDied),
        }
    }

    /// Has something done whenever the program stops, as by Ctrl-Z on its terminal: while this process waits for its
    /// end. Only a program that is not process 1 ([`JailSpec::own_init`](super::JailSpec::own_init)) stops so.
    #[must_use]
    pub fn when_stopped(mut self, stopped: impl Fn() + Send + 'static) -> Jail {
        self.on_stop = Some(StopCallback(Box::new(stopped)));
        self
    }

    /// A handle to kill what is inside.
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer { control: Arc::clone(&self.control) }
    }

    /// Waits for the program's end. Afterwards every process inside is dead and the mount is gone. The server has to
    /// answer until then.
    ///
    /// # Errors
    /// [`JailError::Unmount`] if what the program wrote may not be complete; [`JailError::SupervisorDied`].
    pub fn wait(self) -> Result<ExitOutcome, JailError> {
        let end = self.wait_for_exit()?;
        end.unmounted.map_err(|source| JailError::Unmount { source })?;
        Ok(end.outcome)
    }

    /// The same, with the ends of the program and of the mount apart: who throws away what a program wrote need not
    /// mind that some of it could not be stored ([`MountError::WriteBack`]).
    ///
    /// # Errors
    /// [`JailError::SupervisorDied`], and whatever else leaves the outcome unknown.
    pub fn wait_for_exit(mut self) -> Result<JailExit, JailError> {
        loop {
            match self.receive()? {
                Report::Stopped => self.on_stop.iter().for_each(|StopCallback(stopped)| stopped()),
                Report::Ended { outcome, unmounted, unmounting } => {
                    return Ok(JailExit { outcome, unmounted, unmounting });
                }
                Report::Failed(error) | Report::Lost(error) => return Err(error),
                Report::Started { .. } => return Err(JailError::SupervisorDied),
            }
        }
    }

    /// The next message; everything is over if there is none.
    fn receive(&mut self) -> Result<Report, JailError> {
        match control::receive(&*self.control) {
            Ok(Some(report)) => {
                self.over = !matches!(report, Report::Started { .. } | Report::Stopped);
                Ok(report)
            }
            Ok(None) => Err(JailError::SupervisorDied),
            Err(source) => Err(JailError::Control { source }),
        }
    }

    /// The kernel kills the program when its supervisor dies, unless the program has asked it not to. Not on macOS,
    /// where the mount is left too.
    fn kill_program(&self) {
        if let Some(program) = &self.program
            && program.kill().is_ok()
        {
            program.wait();
        }
    }
}

impl Drop for Jail {
    fn drop(&mut self) {
        if !self.over {
            self.killer().kill();
        }
        if let Err(error) = self.supervisor.wait() {
            tracing::warn!("cannot wait for the supervisor of a jail: {error}");
        }
        self.kill_program();
        #[cfg(not(target_os = "linux"))]
        self.mount_point.iter().for_each(|at| crate::mount::force_unmount(at));
    }
}

impl std::fmt::Debug for StopCallback {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StopCallback")
    }
}

impl Killer {
    /// Kills everything inside; [`Jail::wait`] then returns soon.
    pub fn kill(&self) {
        // If nobody reads it any more, nothing is left to kill.
        let _ = (&*self.control).write_all(&[KILL]);
    }

    /// The same when the server has gone: nobody answers the calls of what is killed, nor those of its unmount.
    pub fn kill_without_server(&self) {
        let _ = (&*self.control).write_all(&[SERVER_GONE]);
    }
}
