//! One build, from a user of its own to registered outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use sandbox::access::PathList;
use sandbox::backend::Backend;
use sandbox::cancel::Cancel;
use sandbox::jail::{Outcome, Spawner, Stdio3};
use sandbox::limits::{LimitWatch, LogMonitor};
use sandbox::report::Report;
use sandbox::{Ended, Program, Setup, WorkDir, phantom};

use crate::build::{
    BuildError, BuildRequest, BuildSlot, BuildStats, Builder, Built, Event, Failure, Purpose, Seconds,
};
use crate::build_dirs::BuildDirectories;
use crate::deep::{DeepOutcome, DeepReport};
use crate::derivation::Derivation;
use crate::hooks;
use crate::in_place::InPlace;
use crate::log::{self, Log, LogConfig, LogEvent, Terminal};
use crate::output::{OutputError, ReplacePolicy, StagedOutputs, is_whole};
use crate::plan::Plan;
use crate::store::{BuildUser, PathInfo, RegisterWhen, log_path};
use crate::store_path::StorePath;
use crate::sweep::Pending;
use crate::visible;

/// A build that ended well. Its outputs are where it wrote them.
pub(crate) struct BuildRun {
    pub plan: Plan,
    pub ended: Ended,
    hidden: PathList,
    pub report: Option<Report>,
    began: Instant,
    /// Where its outputs have to be copied to before anybody may rely on them.
    pub copies: Option<PathBuf>,
    /// What it wrote is removed with this.
    pub place: BuildDirectories,
    /// Nobody else may be this user until they are taken.
    user: BuildUser,
}

impl Builder {
    /// Builds a derivation whose inputs are valid; blocks until that is done.
    ///
    /// # Errors
    /// The step that failed. Nothing is left of the build then but what was asked to be kept.
    pub fn build(
        &self,
        path: &StorePath,
        derivation: &Derivation<'_>,
        purpose: Purpose,
        turn: BuildSlot<'_>,
    ) -> Result<Built, BuildError> {
        derivation.check_buildable(self.store.directory())?;
        let outputs = derivation.output_paths(self.store.directory())?;
        let paths: BTreeSet<StorePath> = outputs.iter().map(|(_, path)| path.clone()).collect();
        let inputs = self.inputs(derivation)?;
        let mut needed = inputs.clone();
        needed.insert(path.clone());
        self.store.hold(&needed, &paths)?;

        let places = paths.iter().map(|path| self.store.locate(path)).collect();
        let _locks = self.lock(&places)?;
        let _pending = Pending::write(&self.state_path, &paths).map_err(BuildError::Note)?;
        let unwanted = self.unwanted(path, &paths, purpose)?;
        let mut built = Built { derivation: path.clone(), outputs: BTreeMap::new(), build: None };
        if unwanted != paths {
            let known = self.known(derivation, &inputs)?;
            let sandbox_closure = self.sandbox_closure()?;
            let (hook_paths, phantom) = (Vec::new(), false);
            let mut job = BuildRequest {
                path,
                derivation,
                known,
                sandbox_closure,
                purpose,
                unwanted,
                hook_paths,
                phantom,
            };
            let (infos, mut measures) = run(self, &mut job, turn)?;
            measures.files_visible = self.options.count_visible.then(|| visible::count(&self.store, &job));
            if self.options.deep_report {
                measures.deep = build_deep(self, job, &infos)?;
            }
            (built.outputs, built.build) = (infos, Some(measures));
            self.tell_of(&built)?;
        }
        self.add_valid_outputs(&mut built, outputs)?;
        Ok(built)
    }

    /// Those of a derivation's outputs that need not be made.
    fn unwanted(
        &self,
        path: &StorePath,
        outputs: &BTreeSet<StorePath>,
        purpose: Purpose,
    ) -> Result<BTreeSet<StorePath>, BuildError> {
        let absent = |path: &StorePath| self.store.locate(path).symlink_metadata().is_err();
        if purpose == Purpose::Make && outputs.iter().all(absent) {
            // The names are locked, so that nobody else makes them meanwhile.
            return Ok(BTreeSet::new());
        }
        let invalid = self.store.invalid(outputs)?;
        let mut valid: BTreeSet<StorePath> = outputs.difference(&invalid).cloned().collect();
        match purpose {
            Purpose::Make => {}
            Purpose::Check if invalid.is_empty() => valid.clear(),
            Purpose::Check => {
                return Err(BuildError::NothingToCheck { derivation: self.store.locate(path) });
            }
            Purpose::Repair => {
                let infos = self.store.infos(&valid)?;
                for (path, info) in &infos {
                    if !is_whole(&self.store, info)? {
                        valid.remove(path);
                    }
                }
            }
        }
        Ok(valid)
    }

    /// Runs the hook for what has been built.
    fn tell_of(&self, built: &Built) -> Result<(), BuildError> {
        let Some(hook) = &self.settings.post_build_hook else { return Ok(()) };
        let outputs = built.outputs.values().map(|info| info.path.clone()).collect();
        let line = |line: &str| self.observer.observe(&Event::Hook("post-build-hook", line));
        Ok(self.hooks.post_build(hook, &self.store, &built.derivation, &outputs, line)?)
    }

    fn add_valid_outputs(
        &self,
        built: &mut Built,
        outputs: Vec<(String, StorePath)>,
    ) -> Result<(), BuildError> {
        let others: Vec<(String, StorePath)> =
            outputs.into_iter().filter(|(name, _)| !built.outputs.contains_key(name)).collect();
        let mut infos = self.store.infos(&others.iter().map(|(_, path)| path.clone()).collect())?;
        built
            .outputs
            .extend(others.into_iter().filter_map(|(name, path)| Some((name, infos.remove(&path)?))));
        Ok(())
    }
}

/// Builds: what it returns has been registered.
fn run(
    builder: &Builder,
    job: &mut BuildRequest<'_>,
    turn: BuildSlot<'_>,
) -> Result<(BTreeMap<String, PathInfo>, BuildStats), BuildError> {
    let BuildRun { plan, ended, hidden, report, began, copies, place, user } =
        attempt(builder, job, &*builder.backend)?;
    let made = StagedOutputs::inspect(&plan, &builder.store, &job.unwanted, copies.as_deref())?;
    let infos = take(builder, job, &plan, made, user, turn)?;
    drop(place);
    let Ended { times, usage, .. } = ended;
    let seconds = Seconds::new(times.started - began, times.gone - times.started, times.gone.elapsed());
    let view = times.seconds();
    let stats = BuildStats { files_visible: None, spent: usage, seconds, view, hidden, report, deep: None };
    Ok((infos, stats))
}

/// Builds what was built with these outputs once more, where hidden directories can be walked. What it makes is compared and
/// thrown away.
fn build_deep(
    builder: &Builder,
    job: BuildRequest<'_>,
    outputs: &BTreeMap<String, PathInfo>,
) -> Result<Option<DeepReport>, BuildError> {
    let (purpose, unwanted) = (Purpose::Check, BTreeSet::new());
    let mut job = BuildRequest { purpose, unwanted, phantom: true, ..job };
    let (report, outcome) = match attempt(builder, &mut job, &*builder.backend) {
        Ok(BuildRun { plan, report, copies, place: _place, .. }) => {
            let outcome = StagedOutputs::inspect(&plan, &builder.store, &job.unwanted, copies.as_deref())
                .map_or_else(
                    |error| DeepOutcome::failed(&error),
                    |made| DeepOutcome::of(made.infos(), outputs),
                );
            (report, outcome)
        }
        Err(BuildError::Builder(failure)) => {
            let report = failure.report.clone();
            (report, DeepOutcome::failed(&BuildError::Builder(failure)))
        }
        Err(error) => return Err(error),
    };
    Ok(report.map(|report| {
        let Report { undeclared, undeclared_incomplete, missing, .. } = report;
        DeepReport { undeclared, undeclared_incomplete, missing, outcome }
    }))
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
    let mut plan = builder.plan(job, &user.as_user(), &place.scratch)?;
    if job.phantom {
        plan.view = phantom(&plan.view);
    }
    place.write_files(&plan)?;
    let all = job.purpose == Purpose::Make && job.unwanted.is_empty();
    let in_place = InPlace::begin(&plan, &builder.store, all)?;

    let stop = Cancel::default();
    let watch = LimitWatch::begin(builder.options.limits, stop.clone()).map_err(BuildError::Watch)?;
    let (terminal, log) = open_log(builder, &plan, watch.monitor(), &stop, job.phantom)?;
    let stdio = Stdio3 {
        stdin: log::no_input().map_err(BuildError::Terminal)?,
        stdout: terminal.stdout,
        stderr: terminal.stderr,
    };
    let ended =
        plan.session(backend, &place.work_dir, &builder.spawner).open().map_err(BuildError::from).and_then(
            |session| {
                if !job.phantom {
                    builder.observer.observe(&Event::Started(job.path));
                }
                Ok(session.run(Program {
                    jail: plan.jail.clone(),
                    stdio,
                    terminal: None,
                    cancel: &builder.cancel,
                    stop: &stop,
                    worthless_on_failure: true,
                })?)
            },
        );
    let lines = log.finish();
    let exceeded = watch.end();
    kill_processes(&builder.spawner, &user)?;
    in_place.map_or(Ok(()), InPlace::collect)?;
    let ended = ended?;
    let outcome = ended.outcome;

    let made: Vec<PathBuf> = plan.outputs.iter().map(|output| builder.store.locate(&output.path)).collect();
    let store = builder.store.directory();
    let hidden = ended.accesses.existing(&plan.view, store, &made);
    let report = builder.options.report.then(|| Report::of(&plan.view, store, &made, &ended));
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
        let failure =
            Failure { outcome, exceeded, log_file, log: lines, kept, hidden, report, disk_full, transient };
        return Err(BuildError::Builder(Box::new(failure)));
    }
    let exposed = backend.exposes_host_files() || !plan.jail.changes_root();
    let copies = exposed.then(|| place.copies());
    Ok(BuildRun { plan, ended, hidden, report, began, copies, place, user })
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
    quiet: bool,
) -> Result<(Terminal, Log), BuildError> {
    let (store, settings) = (&builder.store, &builder.settings);
    let copy = (settings.keep_build_log && !quiet)
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
        spawner: &'a Spawner,
    ) -> Setup<'a> {
        let (view, user) = (&self.view, &self.jail.user);
        Setup { view, user, backend, work_dir, spawner, records_accesses: true }
    }
}
