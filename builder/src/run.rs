//! One build, from a user of its own to registered outputs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sandbox::access::Hidden;
use sandbox::backend::Backend;
use sandbox::cancel::Cancel;
use sandbox::jail::{Outcome, Spawner, Stdio3};
use sandbox::limits::{LimitWatch, LogMonitor};
use sandbox::{Ended, Program, Setup, WorkDir};

use crate::build::{
    BuildError, BuildRequest, BuildSlot, BuildStats, Builder, Event, Failure, Purpose, Seconds,
};
use crate::build_dirs::BuildDirectories;
use crate::hooks;
use crate::in_place::InPlace;
use crate::log::{self, Log, LogConfig, LogEvent, Terminal};
use crate::output::{OutputError, ReplacePolicy, StagedOutputs};
use crate::plan::Plan;
use crate::store::{BuildUser, PathInfo, RegisterWhen, log_path};

/// A build that ended well. Its outputs are where it wrote them.
pub(crate) struct BuildRun {
    pub plan: Plan,
    pub ended: Ended,
    hidden: Hidden,
    began: Instant,
    /// Where its outputs have to be copied to before anybody may rely on them.
    pub copies: Option<PathBuf>,
    /// What it wrote is removed with this.
    place: BuildDirectories,
    /// Nobody else may be this user until they are taken.
    user: BuildUser,
}

/// Builds: what it returns has been registered.
pub(crate) fn run(
    builder: &Builder,
    job: &mut BuildRequest<'_>,
    turn: BuildSlot<'_>,
) -> Result<(BTreeMap<String, PathInfo>, BuildStats), BuildError> {
    let BuildRun { plan, ended, hidden, began, copies, place, user } =
        attempt(builder, job, &*builder.backend)?;
    let made = StagedOutputs::inspect(&plan, &builder.store, &job.unwanted, copies.as_deref())?;
    let infos = take(builder, job, &plan, made, user, turn)?;
    drop(place);
    let Ended { times, usage, .. } = ended;
    let seconds = Seconds::new(times.started - began, times.gone - times.started, times.gone.elapsed());
    Ok((infos, BuildStats { files_visible: None, spent: usage, seconds, view: times.seconds(), hidden }))
}

/// Runs the builder, and leaves its outputs to the caller.
pub(crate) fn attempt(
    builder: &Builder,
    job: &mut BuildRequest<'_>,
    backend: &dyn Backend,
) -> Result<BuildRun, BuildError> {
    let began = Instant::now();
    let user = builder.acquire_user(None)?;
    kill_processes(&builder.spawner, &user)?;
    let mut place = BuildDirectories::make(&builder.store, &builder.settings, &builder.state, job.path)?;
    job.hook_paths = builder.hook_paths(job.path, place.work_dir.mount_point())?;
    let plan = builder.plan(job, &user.as_user(), &place.scratch)?;
    place.write_files(&plan)?;
    let in_place = InPlace::begin(&plan, &builder.store, job)?;

    let stop = Cancel::default();
    let watch = LimitWatch::begin(builder.options.limits, stop.clone()).map_err(BuildError::Watch)?;
    let (terminal, log) = open_log(builder, &plan, watch.monitor(), &stop)?;
    let stdio = Stdio3 {
        stdin: log::no_input().map_err(BuildError::Terminal)?,
        stdout: terminal.stdout,
        stderr: terminal.stderr,
    };
    let ended = plan.session(backend, &place.work_dir).open().map_err(BuildError::from).and_then(|session| {
        builder.observer.observe(&Event::Started(job.path));
        Ok(session.run(Program {
            spawner: &builder.spawner,
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

    let hidden = ended.accesses.existing(&plan.view, builder.store.directory());
    if exceeded.is_some() || outcome != Outcome::Exited(0) {
        // Before the directories are removed.
        let disk_full = place.is_disk_full();
        let transient = plan.jail.network || disk_full;
        let kept = builder.options.keep_failed.then(|| place.keep(&plan.jail.user)).transpose();
        let kept = kept.map_err(BuildError::LogConfig)?;
        let settings = &builder.settings;
        let log_file = settings
            .keep_build_log
            .then(|| log_path(builder.store.logs(), job.path, settings.compress_build_log));
        let failure = Failure { outcome, exceeded, log_file, log: lines, kept, hidden, disk_full, transient };
        return Err(BuildError::Builder(Box::new(failure)));
    }
    let exposed = backend.exposes_host_files() || !plan.jail.changes_root();
    let copies = exposed.then(|| place.copies());
    Ok(BuildRun { plan, ended, hidden, began, copies, place, user })
}

/// Registers the outputs, or compares them with those that are registered. Once they are made, the user and the turn
/// are free for the next build.
fn take(
    builder: &Builder,
    job: &BuildRequest<'_>,
    plan: &Plan,
    made: StagedOutputs<'_>,
    user: BuildUser,
    turn: BuildSlot<'_>,
) -> Result<BTreeMap<String, PathInfo>, BuildError> {
    match job.purpose {
        Purpose::Make => {
            drop(user);
            let when = turn.when;
            drop(turn);
            Ok(made.register(ReplacePolicy::Remove, when)?)
        }
        Purpose::Repair => Ok(made.register(ReplacePolicy::Exchange, RegisterWhen::Now)?),
        Purpose::Check => {
            let hook = builder.settings.diff_hook.as_deref();
            let outputs = made.differing(builder.options.keep_failed || hook.is_some())?;
            if outputs.is_empty() {
                made.trust()?;
                return Ok(made.infos().clone());
            }
            let derivation = builder.store.locate(job.path);
            for output in &outputs {
                let line = |line: &str| builder.observer.observe(&Event::Hook("diff-hook", line));
                let run = |hook: &Path| {
                    hooks::diff(hook, output, &derivation, &plan.scratch.build, &plan.jail.user, line)
                };
                if let Some(Err(error)) = hook.map(run) {
                    // That the outputs differ is the news; the hook was to say how.
                    tracing::warn!(error = &error as &dyn std::error::Error, "diff hook execution failed");
                }
            }
            Err(OutputError::NotDeterministic { derivation, outputs }.into())
        }
    }
}

fn open_log(
    builder: &Builder,
    plan: &Plan,
    monitor: LogMonitor,
    stop: &Cancel,
) -> Result<(Terminal, Log), BuildError> {
    let (store, settings) = (&builder.store, &builder.settings);
    let copy = settings
        .keep_build_log
        .then(|| store.create_log(&plan.derivation, settings.compress_build_log))
        .transpose()?;
    let (observer, derivation) = (Arc::clone(&builder.observer), plan.derivation.clone());
    let told = move |heard: &LogEvent<'_>| observer.observe(&Event::Log(&derivation, heard));
    let keep = LogConfig { copy, tail: settings.log_lines, monitor, closed: stop.clone() };
    log::open(plan.jail.user.uid, keep, told).map_err(BuildError::Terminal)
}

/// A build user has no processes before and after a build.
pub(crate) fn kill_processes(spawner: &Spawner, user: &BuildUser) -> Result<(), BuildError> {
    if user.is_dedicated() { Ok(spawner.kill_user(user.uid)?) } else { Ok(()) }
}

impl Plan {
    /// The session that the plan is run in.
    pub(crate) fn session<'a>(&'a self, backend: &'a dyn Backend, work_dir: &'a WorkDir) -> Setup<'a> {
        Setup { view: &self.view, user: &self.jail.user, backend, work_dir }
    }
}
