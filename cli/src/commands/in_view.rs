//! A command in a view of its own: make the view, run, take it away.

use std::path::PathBuf;
use std::sync::Arc;

use sandbox::access::Recording;
use sandbox::backend::{BackendError, BackendKind};
use sandbox::cancel::Cancel;
use sandbox::command::{Command, Request};
use sandbox::entry::MacHost;
use sandbox::jail::{ExitOutcome, JailError, StreamError, Streams};
use sandbox::{
    Layout, Program, ServeError, ServeOptions, SessionError, SessionOutcome, SessionTerminal, Setup, TopDir,
    WorkDir, WorkDirError, phantom, unused_directory,
};

use super::entry_mode;
use crate::error::CommandError;
use crate::exit::Status;
use crate::failures::RunError;
use crate::globals::Globals;
use crate::itself;
use crate::session_host::SessionHost;
use crate::signals::Interrupt;

/// A command, and how it is run in its view.
pub struct InView<'a> {
    /// What is asked for.
    pub request: &'a Request,
    /// How its view becomes a directory.
    pub backend: BackendKind,
    /// What is to be known of what it asks for.
    pub recording: Recording,
    /// Whether it can walk hidden directories.
    pub walks_hidden: bool,
    /// Where the session's directory is going to be.
    base: PathBuf,
}

/// How it ended.
pub enum InViewOutcome {
    /// loopbox was asked to stop.
    Interrupted(Status),
    /// It has ended, or could not begin.
    Ended(Box<EndedCommand>),
}

/// A command that has ended.
pub struct EndedCommand {
    /// The command, and its view.
    pub command: Command,
    /// The outcome of its session.
    pub ended: Result<SessionOutcome, SessionError>,
    /// Whether all that it printed was passed on.
    carried: Result<(), StreamError>,
}

impl<'a> InView<'a> {
    /// Nothing is made yet.
    ///
    /// # Errors
    /// There is no place where something could be made.
    pub fn new(
        request: &'a Request,
        backend: BackendKind,
        recording: Recording,
        walks_hidden: bool,
    ) -> Result<InView<'a>, WorkDirError> {
        Ok(InView { request, backend, recording, walks_hidden, base: unused_directory()? })
    }

    /// The command as a plan that is only looked at.
    ///
    /// # Errors
    /// What is asked for cannot be shown.
    pub fn plan(&self) -> Result<Command, CommandError> {
        let simplest = self.plan_for(entry_mode::simplest())?;
        simplest.view.validate()?;
        Ok(simplest)
    }

    fn plan_for(&self, host: Option<MacHost>) -> Result<Command, CommandError> {
        let mut command = Command::plan(self.request, &self.base, host)?;
        if self.walks_hidden {
            command.view = phantom(&command.view);
        }
        Ok(command)
    }

    /// Makes the view real, runs the command in it, kills what it left, and takes the view away.
    ///
    /// # Errors
    /// The view cannot be made, or the command is not in it.
    pub fn run(self, simplest: Command, globals: &Globals) -> Result<InViewOutcome, CommandError> {
        let host = SessionHost::find(globals)?;
        let interrupt = Interrupt::watch()?;
        if let Some(inner) = &globals.terminal {
            inner.watch(&interrupt)?;
        }
        let state = host.state(globals)?;
        state.sweep()?;
        let loopbox = itself::program()?;
        let mut command = match entry_mode::host(&state, &globals.state_dir, &loopbox)? {
            None => simplest,
            mac => self.plan_for(mac)?,
        };

        let top = TopDir { children: command.scratch.clone(), ..TopDir::new(self.base) };
        // Where the machine's root stays, the command has to reach the mount.
        let reachable = !command.jail.changes_root();
        let work_dir = WorkDir::create(&state, Layout { tops: vec![top], mount_in: Some(0), reachable })?;
        let backend = self.backend.backend_with(command.changes, self.request.scratches);
        let user = command.jail.user.clone();
        let setup = Setup {
            view: &command.view,
            user: &user,
            backend: &*backend,
            work_dir: &work_dir,
            privilege: host.privilege(),
            serve: ServeOptions {
                recording: self.recording,
                local: &command.local,
                conditions: &command.conditions,
                ..ServeOptions::default()
            },
        };
        let refuses = !command.conditions.are_none();
        let session = setup.open().map_err(whole)?;
        command.jail.program = command.resolve(session.view()?)?;
        let (streams, stdio) = Streams::carry(Some(user.uid), globals.terminal.is_some())?;
        let ended = session.run(Program {
            jail: command.jail.clone(),
            stdio,
            terminal: globals.terminal.clone().map(|inner| Arc::new(inner) as Arc<dyn SessionTerminal>),
            cancel: interrupt.cancel(),
            stop: &Cancel::default(),
            // Whoever fails has noticed what is refused on purpose.
            worthless_on_failure: refuses,
        });
        let carried = streams.finish();
        if let Some(status) = interrupt.status() {
            return Ok(InViewOutcome::Interrupted(status));
        }
        Ok(InViewOutcome::Ended(Box::new(EndedCommand { command, ended, carried })))
    }
}

impl EndedCommand {
    /// The command's status. A program that could not start says little or nothing about it: the kernel answers ENOENT for a
    /// missing loader too, and some loaders only exit.
    ///
    /// # Errors
    /// It could not start, or what it printed could not be passed on.
    pub fn status(self) -> Result<Status, CommandError> {
        let program = self.command.jail.program;
        let status = match self.ended {
            Ok(SessionOutcome { missing: Some(missing), .. })
            | Err(SessionError::Execute { missing: Some(missing), .. }) => {
                return Err(RunError::CannotStart(program, missing).into());
            }
            Ok(SessionOutcome { outcome: ExitOutcome::Exited(code), .. }) => Status::Exited(code),
            Ok(SessionOutcome { outcome: ExitOutcome::Signaled(signal), .. }) => Status::Signaled(signal),
            Err(SessionError::Execute { program, error, missing: None }) => {
                return Err(JailError::Exec { program, source: error }.into());
            }
            Err(error) => return Err(error.into()),
        };
        self.carried?;
        Ok(status)
    }
}

/// What is wrong with a view says so itself.
fn whole(error: BackendError) -> CommandError {
    match error {
        BackendError::View(error) => error.into(),
        BackendError::Serve(ServeError::Server(error)) => error.into(),
        other => other.into(),
    }
}
