//! What `loopbox run` does once its words are read: make the view, run, take it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::store::Store;
use builder::store_path::StorePath;
use nix::unistd::geteuid;
use sandbox::backend::BackendError;
use sandbox::cancel::Cancel;
use sandbox::command::{self, Command};
use sandbox::jail::{JailError, Outcome, Spawner, Streams};
use sandbox::recovery::StateDir;
use sandbox::report::{HASHED_MAX, Report, Undeclared};
use sandbox::view::{Access, Entry, Owner};
use sandbox::{
    Ended, Layout, Program, ServeError, SessionError, SessionTerminal, Setup, Top, WorkDir, phantom,
};

use super::Arguments;
use crate::commands::build::results;
use crate::commands::{entering, need_root};
use crate::error::{CommandError, CommandResult};
use crate::exit::{Status, UNDECLARED};
use crate::failures::RunError;
use crate::globals::Globals;
use crate::itself;
use crate::output;
use crate::report;
use crate::report::document::{AnyReport, CommandReport, DocumentError};
use crate::signals::Interrupt;
use crate::terminal;

/// Makes the view real, runs the command in it, kills what it left, and takes the view away.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    if !arguments.dry_run
        && geteuid().is_root()
        && let Some(status) = terminal::front(globals.terminal.as_ref())?
    {
        return Ok(status);
    }
    arguments.report.check(arguments.backend)?;
    let allowed = arguments.report.allowed()?;
    let request = arguments.request()?;
    let base = command::unused_directory();
    let plan = |host| {
        let mut command = Command::plan(&request, &base, host)?;
        if arguments.report.is_deep() {
            command.view = phantom(&command.view);
        }
        Ok::<_, CommandError>(command)
    };
    let simplest = plan(entering::simplest())?;
    simplest.view.validate()?;
    if arguments.dry_run {
        output::print_json(&simplest)?;
        return Ok(Status::Done);
    }
    need_root()?;
    let interrupt = Interrupt::watch()?;
    if let Some(inner) = &globals.terminal {
        inner.watch(&interrupt)?;
    }
    let state = StateDir::open(&globals.state_dir)?;
    state.sweep()?;
    let loopbox = itself::program()?;
    let mut command = match entering::host(&state, &globals.state_dir, &loopbox)? {
        None => simplest,
        mac => plan(mac)?,
    };

    let top = Top { children: command.scratch.clone(), ..Top::new(base) };
    // Where the machine's root stays, the command has to reach the mount.
    let reachable = !command.jail.changes_root();
    let work_dir = WorkDir::create(&state, Layout { tops: vec![top], mount_in: Some(0), reachable })?;
    let backend = arguments.backend.serving(command.changes);
    let user = command.jail.user.clone();
    let setup = Setup {
        view: &command.view,
        user: &user,
        backend: &*backend,
        work_dir: &work_dir,
        spawner: &Spawner::new(loopbox),
        records_accesses: arguments.report.is_needed(),
    };
    let session = setup.open().map_err(whole)?;
    command.jail.program = command.resolve(session.view()?)?;
    let (streams, stdio) = Streams::carry(Some(user.uid), globals.terminal.is_some())?;
    let ended = session.run(Program {
        jail: command.jail.clone(),
        stdio,
        terminal: globals.terminal.clone().map(|inner| Arc::new(inner) as Arc<dyn SessionTerminal>),
        cancel: interrupt.cancel(),
        stop: &Cancel::default(),
        worthless_on_failure: false,
    });
    let carried = streams.finish();
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let access = match &ended {
        Ok(ended) if arguments.report.is_needed() => {
            Some(Report::of(&command.view, &request.immutable, &[], ended, HASHED_MAX))
        }
        _ => None,
    };
    let judged = match (&access, &allowed) {
        (Some(access), Some(allowed)) => allowed.check(access.hidden()),
        _ => Ok(()),
    };
    if let Some(access) = access
        && arguments.report.is_wanted()
    {
        arguments.tell(access, &request.immutable)?;
    }
    let status = status(ended, command.jail.program)?;
    carried?;
    Ok(judged.map_or_else(|paths| not_allowed(&paths, status), |()| status))
}

/// Tells of what may not be asked for. A command that failed has a status of its own.
fn not_allowed(paths: &[PathBuf], status: Status) -> Status {
    if paths.is_empty() {
        output::tell(
            "the command asked for more hidden paths than are remembered: --strict cannot say what they are",
        );
    } else {
        output::tell("the command asked for paths of this machine that are not in its view:");
        results::list(paths, false);
    }
    if status == Status::Exited(0) { Status::Exited(UNDECLARED.into()) } else { status }
}

impl Arguments {
    /// Asks the store what `--closure` means.
    fn request(&self) -> Result<command::Request, CommandError> {
        let store = Store::from_environment();
        let mut entries: Vec<Entry> = self.ro.iter().map(|bind| bind.entry(Access::Ro)).collect();
        entries.extend(self.rw.iter().map(|bind| bind.entry(Access::Rw)));
        entries.extend(self.closure(&store)?);
        Ok(command::Request {
            entries,
            programs: self.with.clone(),
            tmpfs: self.tmpfs.clone(),
            env: self.env.clone(),
            preserve_env: self.preserve_env,
            cwd: self.chdir.clone(),
            user: self.user(),
            network: self.net,
            hostname: self.hostname.clone(),
            immutable: store.directory().into(),
            command: self.command.clone(),
        })
    }

    /// Reports what the command asked its view for.
    fn tell(&self, mut access: Report, store: &Path) -> Result<(), DocumentError> {
        Undeclared::find_owners(&mut access.undeclared, store);
        let command = self.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let report = AnyReport::Command(Box::new(CommandReport { command, access }));
        report::tell_of(&report);
        self.report.keep(vec![report])
    }

    fn closure(&self, store: &Store) -> Result<Vec<Entry>, CommandError> {
        if self.closure.is_empty() {
            return Ok(Vec::new());
        }
        let root = |path: &PathBuf| StorePath::containing(path, store.directory());
        let roots = self.closure.iter().map(root).collect::<Result<_, _>>()?;
        let graft = |path: StorePath| {
            let at = store.locate(&path);
            Entry::Graft { source: at.clone(), at, access: Access::Fixed, optional: false }
        };
        Ok(store.closure(&roots)?.into_iter().map(graft).collect())
    }

    /// Under sudo, the user who called it; its numbers are sudo's own word.
    fn user(&self) -> Owner {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let uid = self.uid.or_else(|| number("SUDO_UID")).unwrap_or_else(|| nix::unistd::getuid().as_raw());
        let by_uid = || if self.uid.is_some() { Some(uid) } else { number("SUDO_GID") };
        let gid = self.gid.or_else(by_uid).unwrap_or_else(|| nix::unistd::getgid().as_raw());
        Owner { uid, gid }
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

/// A program that could not start says little or nothing about it: the kernel answers ENOENT for a missing loader too,
/// and some loaders only exit.
fn status(ended: Result<Ended, SessionError>, program: PathBuf) -> Result<Status, CommandError> {
    match ended {
        Ok(Ended { missing: Some(missing), .. })
        | Err(SessionError::Execute { missing: Some(missing), .. }) => {
            Err(RunError::CannotStart(program, missing).into())
        }
        Ok(Ended { outcome: Outcome::Exited(code), .. }) => Ok(Status::Exited(code)),
        Ok(Ended { outcome: Outcome::Signaled(signal), .. }) => Ok(Status::Signaled(signal)),
        Err(SessionError::Execute { program, error, missing: None }) => {
            Err(JailError::Exec { program, source: error }.into())
        }
        Err(error) => Err(error.into()),
    }
}
