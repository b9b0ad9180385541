//! One program in one view, from nothing to nothing left.
//!
//! [`Setup::open`] makes the view a directory; [`Session::run`] starts the program there, waits for its end and for the
//! end of everything that it left, and takes the view away. The steps are in the order in which they happen.

mod times;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use mounter::MountError;
use mounter::jail::{
    self, ExitOutcome, Jail, JailError, JailExit, JailSpec, Local, SpawnRequest, Spawner, StdioFds,
};
use nfs_server::view::{OpenError, View, ViewSpec};

use crate::access::Accesses;
use crate::backend::{
    Backend, BackendError, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary, devices, public_devices,
};
use crate::cancel::Cancel;
use crate::conditions::ConditionReport;
use crate::program::{self, ProgramError};
use crate::server::ServeOptions;
use crate::work_dir::WorkDir;

pub use times::{PhaseSeconds, PhaseTimes};

/// The status with which a shell, or a loader, says that something of a program is missing.
const NOT_FOUND: i32 = 127;

/// A view that a program can be run in.
pub struct Session<'a>(SessionImpl<'a>);

/// Which process makes the view and runs the program.
enum SessionImpl<'a> {
    Local(LocalSession<'a>),
    Provided(Box<dyn ProvidedSession + 'a>),
}

/// A session of this process.
struct LocalSession<'a> {
    work_dir: &'a WorkDir,
    view: &'a ViewSpec,
    spawner: &'a Spawner,
    provisioned: Box<dyn Provisioned>,
    opened: Instant,
    /// Whether somebody else has asked for it, whom it shows nothing that he could not see himself.
    lent: bool,
}

/// Who mounts the view and starts its program, which takes root.
#[derive(Clone, Copy)]
pub enum Privilege<'a> {
    /// This process, by what starts the view's server and the jail's supervisor.
    Own(&'a Spawner),
    /// The same for somebody else: the view shows what he may see himself, below his root directory.
    Lent(&'a Spawner, BorrowedFd<'a>),
    /// Another process.
    Other(&'a dyn SessionProvider),
}

/// Another process that makes views and runs programs in them.
pub trait SessionProvider {
    /// Has the view made.
    ///
    /// # Errors
    /// When it is not; nothing is left then.
    fn open<'a>(&self, setup: &Setup<'a>) -> Result<Box<dyn ProvidedSession + 'a>, BackendError>;
}

/// A view that another process has made.
pub trait ProvidedSession {
    /// As [`Session::view`].
    ///
    /// # Errors
    /// If it cannot be opened.
    fn view(&self) -> Result<&View, OpenError>;

    /// As [`Session::port`].
    fn port(&self) -> Option<u16>;

    /// As [`Session::run`].
    ///
    /// # Errors
    /// The step that failed.
    fn run(self: Box<Self>, program: Program<'_>) -> Result<SessionOutcome, SessionError>;
}

/// What a view is made with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// The view.
    pub view: &'a ViewSpec,
    /// Who is going to be in it.
    pub user: &'a jail::User,
    /// How it becomes a directory.
    pub backend: &'a dyn Backend,
    /// Where its directories are.
    pub work_dir: &'a WorkDir,
    /// Who makes it.
    pub privilege: Privilege<'a>,
    /// How it is served, if the backend does that.
    pub serve: ServeOptions<'a>,
}

/// What is run in a view.
pub struct Program<'a> {
    /// Who runs what, and with which limits.
    pub jail: JailSpec,
    /// What it reads and writes.
    pub stdio: StdioFds,
    /// The terminal that these are, for this session alone; none where they are something else.
    pub terminal: Option<Arc<dyn SessionTerminal>>,
    /// Ends the program, and with it the session, which is then interrupted.
    pub cancel: &'a Cancel,
    /// Ends the program alone, whose outcome tells of it.
    pub stop: &'a Cancel,
    /// Whether a program that fails makes all that it wrote worthless, so that nobody minds if some could not be stored.
    pub worthless_on_failure: bool,
}

/// The other side of a terminal that a session alone has.
pub trait SessionTerminal: fmt::Debug + Send + Sync {
    /// The session is about to begin, as this user.
    ///
    /// # Errors
    /// When the terminal cannot be made ready.
    fn begin(&self, uid: u32) -> io::Result<()>;

    /// The session's program has stopped, as by Ctrl-Z.
    fn stopped(&self);
}

/// How a session ended.
#[derive(Debug)]
pub struct SessionOutcome {
    /// The exit status of its program, or the signal that ended it.
    pub outcome: ExitOutcome,
    /// How long its parts took.
    pub times: PhaseTimes,
    /// What the view took.
    pub usage: ResourceUsage,
    /// What the program asked for, if that was to be recorded.
    pub accesses: Accesses,
    /// How often the conditions were met.
    pub imposed: ConditionReport,
    /// What the program lacks in the view, if it ended as one that lacks something does.
    pub missing: Option<ProgramError>,
}

/// Why a program did not run in its view to its end.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The view could not be made, or not be taken away.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The terminal could not be made ready.
    #[error("cannot prepare the session's terminal")]
    Terminal(#[source] io::Error),
    /// The program could not be executed.
    #[error("executing {program:?}: {error}")]
    Execute {
        /// The program.
        program: PathBuf,
        /// What the kernel says.
        error: io::Error,
        /// What it lacks in the view, when that can be found out.
        missing: Option<ProgramError>,
    },
    /// The jail could not be made or ended.
    #[error(transparent)]
    Jail(JailError),
    /// The program ended well, but the conditions had some of what it wrote refused, and it was not told.
    #[error("some of what was written was refused on purpose, and the program has not noticed")]
    NotStored {
        /// How often the conditions were met.
        imposed: ConditionReport,
    },
    /// It was asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl<'a> Setup<'a> {
    /// Makes the view.
    ///
    /// # Errors
    /// What the backend says; nothing is left then.
    pub fn open(self) -> Result<Session<'a>, BackendError> {
        let Setup { view, user, backend, work_dir, privilege, mut serve } = self;
        let (spawner, asked_from) = match privilege {
            Privilege::Own(spawner) => (spawner, None),
            Privilege::Lent(spawner, root) => (spawner, Some(root)),
            Privilege::Other(host) => return Ok(Session(SessionImpl::Provided(host.open(&self)?))),
        };
        if !serve.conditions.are_none() {
            if backend.mount_options().is_none() {
                return Err(BackendError::Conditions);
            }
            serve.local = &[];
        }
        let opened = Instant::now();
        let provisioned = backend.provision(ProvisionRequest {
            view,
            user,
            at: work_dir.mount_point(),
            record: work_dir.record(),
            spawner,
            serve,
            asked_from,
        })?;
        let lent = asked_from.is_some();
        Ok(Session(SessionImpl::Local(LocalSession { work_dir, view, spawner, provisioned, opened, lent })))
    }
}

impl Session<'_> {
    /// The view, to look at what a program would find in it.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn view(&self) -> Result<&View, OpenError> {
        match &self.0 {
            SessionImpl::Local(local) => local.provisioned.view(),
            SessionImpl::Provided(session) => session.view(),
        }
    }

    /// The port that the view is served at, if it is served.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match &self.0 {
            SessionImpl::Local(local) => match local.provisioned.root() {
                jail::Root::Nfs { source, .. } => Some(source.addr.port()),
                jail::Root::Places(_) | jail::Root::Directory(_) => None,
            },
            SessionImpl::Provided(session) => session.port(),
        }
    }

    /// Runs the program. Every process in the view is dead afterwards, and nothing is left of the view.
    ///
    /// # Errors
    /// The step that failed; [`SessionError::Interrupted`] when it was asked to stop.
    pub fn run(self, program: Program<'_>) -> Result<SessionOutcome, SessionError> {
        match self.0 {
            SessionImpl::Local(local) => local.run(program),
            SessionImpl::Provided(session) => session.run(program),
        }
    }
}

impl LocalSession<'_> {
    fn run(self, program: Program<'_>) -> Result<SessionOutcome, SessionError> {
        let Program { jail: mut spec, stdio, terminal, cancel, stop, worthless_on_failure } = program;
        if let Some(terminal) = &terminal {
            (spec.terminal, spec.own_init) = (true, true);
            terminal.begin(spec.user.uid).map_err(SessionError::Terminal)?;
        }
        if spec.network {
            warn_of_abstract_sockets();
        }
        if let Some(mac) = &mut spec.mac {
            mac.record = Some(self.work_dir.record().image());
        }
        let own_root = spec.changes_root();
        let root = self.provisioned.root();
        if !own_root && !matches!(root, jail::Root::Nfs { .. }) {
            return Err(BackendError::NoOwnRoot.into());
        }
        let devices = if self.lent { public_devices(self.view) } else { devices(self.view) };
        let local = Local { places: self.provisioned.local(), as_user: self.lent };
        let request = SpawnRequest { root, devices, local, spec };
        let begun = Jail::begin(self.spawner, &request, stdio).map_err(SessionError::Jail)?;
        let killer = begun.killer();
        let gone = self.provisioned.gone();
        let _stopped = gone.map(|gone| gone.on_cancel(move || killer.kill_without_server()));
        let mut jail = match begun.wait_until_started() {
            Ok(jail) => jail,
            Err(error) => {
                let error = self.explain(error, &request.spec, own_root);
                if self.provisioned.gone().is_some_and(Cancel::is_cancelled) {
                    // What has ended before its time says so.
                    self.provisioned.end()?;
                }
                return Err(error);
            }
        };
        if let Some(terminal) = terminal {
            jail = jail.when_stopped(move || terminal.stopped());
        }
        let started = Instant::now();
        self.provisioned.runs(&request.spec.program);
        let waited = wait(jail, cancel, stop, worthless_on_failure);
        let unmounted = Instant::now();
        let may_lack_a_file = matches!(waited, Ok((outcome, _)) if may_lack_a_file(outcome));
        let missing = if may_lack_a_file && own_root { self.missing(&request.spec) } else { None };
        let ViewSummary { usage, mut accesses, imposed } = self.provisioned.end()?;
        // Somebody else's directories he looks at himself.
        if !self.lent {
            accesses.add_scratches(self.view);
        }
        let (outcome, unmounting) = waited.map_err(|error| error.explained_by(&imposed))?;
        let ended = unmounted.checked_sub(unmounting).unwrap_or(unmounted);
        let times = PhaseTimes { opened: self.opened, started, ended, gone: Instant::now() };
        Ok(SessionOutcome { outcome, times, usage, accesses, imposed, missing })
    }

    /// The kernel says the same of a program that is not there, and of one whose loader is not there.
    fn explain(&self, error: JailError, spec: &JailSpec, own_root: bool) -> SessionError {
        let JailError::Exec { program, source: error } = error else { return SessionError::Jail(error) };
        let missing = if own_root { self.missing(spec) } else { None };
        SessionError::Execute { program, error, missing }
    }

    /// What the program lacks in the view. Whoever has been lent it finds that out himself.
    fn missing(&self, spec: &JailSpec) -> Option<ProgramError> {
        if self.lent { None } else { missing(self.provisioned.view().ok()?, spec) }
    }
}

impl SessionError {
    /// What was refused on purpose is no failure of a disk.
    fn explained_by(self, imposed: &ConditionReport) -> SessionError {
        match self {
            SessionError::Jail(JailError::Unmount { source: MountError::WriteBack { .. } })
                if !imposed.is_nothing() =>
            {
                SessionError::NotStored { imposed: imposed.clone() }
            }
            other => other,
        }
    }
}

/// Whether a program may have ended so because something was not there.
pub(crate) fn may_lack_a_file(outcome: ExitOutcome) -> bool {
    matches!(outcome, ExitOutcome::Exited(NOT_FOUND) | ExitOutcome::Signaled(libc::SIGABRT))
}

/// What a program lacks in its view.
pub(crate) fn missing(view: &View, spec: &JailSpec) -> Option<ProgramError> {
    let paths = |name: &str| {
        let value = spec.env.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        value.map(|value| std::env::split_paths(value).collect()).unwrap_or_default()
    };
    program::check(view, &spec.program, paths("PATH"), paths("LD_LIBRARY_PATH")).err()
}

/// Waits until the program has ended, of itself or because it was stopped, and its view is unmounted, which took as
/// long as it says.
fn wait(
    jail: Jail,
    cancel: &Cancel,
    stop: &Cancel,
    worthless_on_failure: bool,
) -> Result<(ExitOutcome, Duration), SessionError> {
    let kill_on = |cancel: &Cancel| {
        let killer = jail.killer();
        cancel.on_cancel(move || killer.kill())
    };
    let _stoppable = [kill_on(cancel), kill_on(stop)];
    let end = jail.wait_for_exit().map_err(SessionError::Jail);
    if cancel.is_cancelled() {
        return Err(SessionError::Interrupted);
    }
    let JailExit { outcome, unmounted, unmounting } = end?;
    match unmounted {
        Err(MountError::WriteBack { .. }) if worthless_on_failure && outcome != ExitOutcome::Exited(0) => {}
        unmounted => unmounted.map_err(|source| SessionError::Jail(JailError::Unmount { source }))?,
    }
    Ok((outcome, unmounting))
}

/// Once, however many sessions there are.
fn warn_of_abstract_sockets() {
    static WARNED: Once = Once::new();
    if cfg!(target_os = "linux") && !jail::can_scope_abstract_sockets() {
        let why =
            "this kernel cannot keep builds that use the machine's network from its abstract Unix sockets";
        WARNED.call_once(|| tracing::warn!("{why} (landlock, Linux 6.12)"));
    }
}
