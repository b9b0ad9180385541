//! One run of a builder: a user and directories of its own, its view, its log, and how it ended.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use sandbox::access::Recording;
use sandbox::backend::Backend;
use sandbox::cancel::Cancel;
use sandbox::conditions::Conditions;
use sandbox::jail::{ExitOutcome, Spawner, StdioFds};
use sandbox::limits::{LimitWatch, LogMonitor};
use sandbox::report::{HASHED_BY_THE_WAY, HASHED_MAX, Report};
use sandbox::{Privilege, Program, ServeOptions, SessionOutcome, Setup, WorkDir, phantom};

use crate::build::{BuildError, BuildRequest, Builder, Event, Failure, Purpose};
use crate::build_dirs::BuildDirs;
use crate::in_place::InPlace;
use crate::log::{self, Log, LogConfig, LogEvent, Terminal};
use crate::plan::Plan;
use crate::report::BuildReport;
use crate::store::{BuildUser, log_path};

/// A build that ended well. Its outputs are where it wrote them.
pub(crate) struct BuildRun {
    pub plan: Plan,
    pub ended: SessionOutcome,
    pub access: Report,
    pub began: Instant,
    /// Where its outputs have to be copied to before anybody may rely on them.
    pub copies: Option<PathBuf>,
    /// What it wrote is removed with this.
    pub place: BuildDirs,
    /// Nobody else may be this user until they are taken.
    pub user: BuildUser,
}

/// Runs the builder, and leaves its outputs to the caller.
pub(crate) fn run_builder(
    builder: &Builder,
    request: &mut BuildRequest<'_>,
    backend: &dyn Backend,
) -> Result<BuildRun, BuildError> {
    let began = Instant::now();
    let user = builder.acquire_user(None)?;
    kill_processes(&builder.spawner, &user)?;
    let mut place = BuildDirs::make(&builder.store, &builder.settings, &builder.state, request.path)?;
    request.hook_paths = builder.hook_paths(request.path, place.work_dir.mount_point())?;
    let mut plan = builder.plan(request, &user.as_user(), &place.scratch)?;
    if request.phantom {
        plan.view = phantom(&plan.view);
    }
    place.write_files(&plan)?;
    let all = request.purpose == Purpose::Make && request.unwanted.is_empty();
    let in_place = InPlace::begin(&plan, &builder.store, all)?;

    let stop = Cancel::default();
    let watch = LimitWatch::begin(builder.options.limits, stop.clone()).map_err(BuildError::Watch)?;
    let (terminal, log) = open_log(builder, &plan, watch.monitor(), &stop, request.is_trial())?;
    let stdio = StdioFds {
        stdin: log::no_input().map_err(BuildError::Terminal)?,
        stdout: terminal.stdout,
        stderr: terminal.stderr,
    };
    let ended = plan
        .session(backend, &place.work_dir, Privilege::Own(&builder.spawner), &builder.options.conditions)
        .open()
        .map_err(BuildError::from)
        .and_then(|session| {
            let event = match request {
                BuildRequest { phantom: true, .. } => Some(Event::StartedDeep(request.path)),
                _ if request.is_trial() => None,
                _ => Some(Event::Started(request.path)),
            };
            event.iter().for_each(|event| builder.observer.observe(event));
            Ok(session.run(Program {
                jail: plan.jail.clone(),
                stdio,
                terminal: None,
                cancel: &builder.cancel,
                stop: &stop,
                worthless_on_failure: true,
            })?)
        });
    let lines = log.finish();
    let exceeded = watch.end();
    kill_processes(&builder.spawner, &user)?;
    in_place.map_or(Ok(()), InPlace::collect)?;
    let ended = ended?;
    let outcome = ended.outcome;

    let made: Vec<PathBuf> = plan.outputs.iter().map(|output| builder.store.locate(&output.path)).collect();
    let store = builder.store.directory();
    let hashed_max = match (request.is_trial(), builder.options.report) {
        // The build itself follows, and reads the same, or nobody asks.
        (true, _) => 0,
        (false, true) => HASHED_MAX,
        (false, false) => HASHED_BY_THE_WAY,
    };
    let access = Report::of(&plan.view, store, &made, &ended, hashed_max);
    if exceeded.is_some() || outcome != ExitOutcome::Exited(0) {
        // Before the directories are removed.
        let disk_full = place.is_disk_full();
        let transient = plan.jail.network || disk_full;
        let keep = builder.options.keep_failed && !request.is_trial();
        let kept = keep.then(|| place.keep(&plan.jail.user)).transpose();
        let kept = kept.map_err(BuildError::LogConfig)?;
        let settings = &builder.settings;
        let log_file = builder
            .keeps_log()
            .then(|| log_path(builder.store.logs(), request.path, settings.compress_build_log));
        let report = BuildReport::of(&builder.store, request.path, &request.inputs, access, None)?;
        let failure = Failure { outcome, exceeded, log_file, log: lines, kept, report, disk_full, transient };
        return Err(BuildError::Builder(Box::new(failure)));
    }
    if ended.imposed.has_injected_errors() {
        return Err(BuildError::Injected(ended.imposed));
    }
    let exposed = backend.exposes_host_files() || !plan.jail.changes_root();
    let copies = exposed.then(|| place.copies());
    Ok(BuildRun { plan, ended, access, began, copies, place, user })
}

fn open_log(
    builder: &Builder,
    plan: &Plan,
    monitor: LogMonitor,
    stop: &Cancel,
    quiet: bool,
) -> Result<(Terminal, Log), BuildError> {
    let (store, settings) = (&builder.store, &builder.settings);
    let copy = (builder.keeps_log() && !quiet)
        .then(|| store.create_log(&plan.derivation, settings.compress_build_log))
        .transpose()?;
    let (observer, derivation) = (Arc::clone(&builder.observer), plan.derivation.clone());
    let told = move |heard: &LogEvent<'_>| {
        if !quiet {
            observer.observe(&Event::Log(&derivation, heard));
        }
    };
    let keep = LogConfig { copy, tail: settings.log_lines, monitor, closed: stop.clone() };
    log::open(plan.jail.user.uid, keep, told).map_err(BuildError::Terminal)
}

impl Builder {
    /// Whether what builds write is kept here.
    fn keeps_log(&self) -> bool {
        self.settings.keep_build_log && !self.options.in_build_hook
    }
}

/// A build user has no processes before and after a build.
pub(crate) fn kill_processes(spawner: &Spawner, user: &BuildUser) -> Result<(), BuildError> {
    if user.is_dedicated() { Ok(spawner.kill_user(user.uid)?) } else { Ok(()) }
}

impl Plan {
    /// The session that the plan is run in.
    pub(crate) fn session<'a>(
        &'a self,
        backend: &'a dyn Backend,
        work_dir: &'a WorkDir,
        privilege: Privilege<'a>,
        conditions: &'a Conditions,
    ) -> Setup<'a> {
        let (view, user) = (&self.view, &self.jail.user);
        Setup {
            view,
            user,
            backend,
            work_dir,
            privilege,
            serve: ServeOptions {
                recording: Recording::Hidden,
                variation: self.shown,
                local: &self.local,
                conditions,
            },
        }
    }
}
