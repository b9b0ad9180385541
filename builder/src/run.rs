//! One build, from a user of its own to registered outputs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use mounter::MountError;
use mounter::jail::{
    self, End, Jail, JailError, JailSpec, Limit, Outcome, Resource, Root, Spawner, Stdio3, SystemCalls,
};
use mounter::stale::Note;
use nfs_server::view::View;

use crate::access::{Hidden, HiddenPaths};
use crate::backend::{Backend, Spent, Wish, devices};
use crate::build::{
    BuildError, Builder, Event, Failure, Job, Lack, Measures, Purpose, Seconds, Turn, ViewSeconds,
};
use crate::cancel::Cancel;
use crate::in_place::InPlace;
use crate::log::{self, Heard, Keep, Log, Terminal};
use crate::output::{Existing, Made, OutputError};
use crate::plan::{Plan, Word};
use crate::scratch::BuildDirectories;
use crate::shell::SessionTerminal;
use crate::store::{BuildUser, PathInfo, When, log_path};
use crate::watch::{Ear, Watch};
use crate::{hooks, program};

/// A build that ended well. Its outputs are where it wrote them.
pub(crate) struct Attempt {
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
    job: &mut Job<'_>,
    turn: Turn<'_>,
) -> Result<(BTreeMap<String, PathInfo>, Measures), BuildError> {
    let Attempt { plan, ended, hidden, began, copies, place, user } =
        attempt(builder, job, &*builder.backend)?;
    let made = Made::inspect(&plan, &builder.store, &job.unwanted, copies.as_deref())?;
    let infos = take(builder, job, &plan, made, user, turn)?;
    drop(place);
    let Ended { times, spent, .. } = ended;
    let seconds = Seconds::new(times.started - began, times.gone - times.started, times.gone.elapsed());
    Ok((infos, Measures { files_visible: None, spent, seconds, view: times.seconds(), hidden }))
}

/// Runs the builder, and leaves its outputs to the caller.
pub(crate) fn attempt(
    builder: &Builder,
    job: &mut Job<'_>,
    backend: &dyn Backend,
) -> Result<Attempt, BuildError> {
    let began = Instant::now();
    let user = builder.acquire_user(None)?;
    kill_processes(&builder.spawner, &user)?;
    let mut place = BuildDirectories::make(&builder.store, &builder.settings, &builder.state, job.path)?;
    job.hook_paths = builder.hook_paths(job.path, &place.mount_point)?;
    let plan = builder.plan(job, &user.as_user(), &place.scratch)?;
    place.write_files(&plan)?;
    let in_place = InPlace::begin(&plan, &builder.store, job)?;

    let stop = Cancel::default();
    let watch = Watch::begin(builder.options.limits, stop.clone()).map_err(BuildError::Watch)?;
    let (terminal, log) = open_log(builder, &plan, watch.ear(), &stop)?;
    let means = Means {
        backend,
        note: &place.note,
        spawner: &builder.spawner,
        cancel: &builder.cancel,
        stop: &stop,
        act: Act::Program,
    };
    let stdio = Stdio3 {
        stdin: log::no_input().map_err(BuildError::Terminal)?,
        stdout: terminal.stdout,
        stderr: terminal.stderr,
    };
    let begin = || builder.observer.observe(&Event::Started(job.path));
    let ended = in_view(&means, &plan, &place.mount_point, stdio, begin);
    let lines = log.finish();
    let exceeded = watch.end();
    kill_processes(&builder.spawner, &user)?;
    in_place.map_or(Ok(()), InPlace::collect)?;
    let ended = ended?;
    let outcome = ended.outcome;

    let hidden = ended.asked.existing(&plan.view, builder.store.directory());
    if exceeded.is_some() || outcome != Outcome::Exited(0) {
        // Before the directories are removed.
        let disk_full = place.is_disk_full();
        let transient = plan.network || disk_full;
        let kept = builder.options.keep_failed.then(|| place.keep(&plan.user)).transpose();
        let kept = kept.map_err(BuildError::Keep)?;
        let settings = &builder.settings;
        let log_file = settings
            .keep_build_log
            .then(|| log_path(builder.store.logs(), job.path, settings.compress_build_log));
        let failure = Failure { outcome, exceeded, log_file, log: lines, kept, hidden, disk_full, transient };
        return Err(BuildError::Builder(Box::new(failure)));
    }
    let exposed = backend.exposes_host_files() || !plan.has_own_root();
    let copies = exposed.then(|| place.copies());
    Ok(Attempt { plan, ended, hidden, began, copies, place, user })
}

/// Registers the outputs, or compares them with those that are registered. Once they are made, the user and the turn
/// are free for the next build.
fn take(
    builder: &Builder,
    job: &Job<'_>,
    plan: &Plan,
    made: Made<'_>,
    user: BuildUser,
    turn: Turn<'_>,
) -> Result<BTreeMap<String, PathInfo>, BuildError> {
    match job.purpose {
        Purpose::Make => {
            drop(user);
            let when = turn.when;
            drop(turn);
            Ok(made.register(Existing::Remove, when)?)
        }
        Purpose::Repair => Ok(made.register(Existing::Exchange, When::Now)?),
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
                    hooks::diff(hook, output, &derivation, &plan.scratch.build, &plan.user, line)
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

/// What it takes to run something in a view.
pub(crate) struct Means<'a> {
    pub backend: &'a dyn Backend,
    /// What a later run sweeps if this one dies.
    pub note: &'a Note,
    pub spawner: &'a Spawner,
    pub cancel: &'a Cancel,
    /// Stops this one alone.
    pub stop: &'a Cancel,
    pub act: Act,
}

/// Who acts in a view.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// The plan's program.
    Program,
    /// The plan's program, for a person: the streams are this terminal, which is to control the session.
    Session(Arc<dyn SessionTerminal>),
    /// loopbox itself, with these arguments: the walk of a comparison.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "backends are compared on Linux"))]
    Task(Vec<OsString>),
}

/// How a builder ended.
pub(crate) struct Ended {
    pub outcome: Outcome,
    pub times: Times,
    pub spent: Spent,
    pub asked: Arc<HiddenPaths>,
}

/// When what happened to a view.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// The view was about to be made.
    pub begun: Instant,
    /// The builder ran in it.
    pub started: Instant,
    /// The builder had ended.
    pub ended: Instant,
    /// Nothing was left of the view.
    pub gone: Instant,
}

/// Serves the view, runs the builder in it, and stops serving once it is unmounted. `begin` is called when all that
/// can be made beforehand has been made.
pub(crate) fn in_view(
    means: &Means<'_>,
    plan: &Plan,
    mount_point: &Path,
    stdio: Stdio3,
    begin: impl FnOnce(),
) -> Result<Ended, BuildError> {
    let asked = Arc::new(HiddenPaths::default());
    let begun = Instant::now();
    let served = means.backend.realise(Wish {
        view: &plan.view,
        user: &plan.user,
        at: mount_point,
        note: means.note,
        sink: Some(Arc::clone(&asked) as Arc<_>),
    })?;
    begin();
    if plan.network {
        tell_of_abstract_sockets();
    }
    let mut jail = plan.jail(served.root());
    jail.devices = devices(&plan.view);
    jail.noted_in(means.note);
    match &means.act {
        Act::Program => {}
        Act::Session(_) => (jail.terminal, jail.own_init) = (true, true),
        Act::Task(arguments) => (jail.own_task, jail.argv) = (true, arguments.clone()),
    }
    let mut jail =
        Jail::spawn(means.spawner, &jail, stdio).map_err(|error| not_started(error, plan, served.view()))?;
    if let Act::Session(terminal) = means.act.clone() {
        jail = jail.when_stopped(move || terminal.stopped());
    }
    let started = Instant::now();
    let outcome = wait(means, jail);
    let unmounted = Instant::now();
    let spent = served.end()?;
    let (outcome, unmounting) = outcome?;
    let ended = unmounted.checked_sub(unmounting).unwrap_or(unmounted);
    let times = Times { begun, started, ended, gone: Instant::now() };
    Ok(Ended { outcome, times, spent, asked })
}

/// Once, however many builds there are.
fn tell_of_abstract_sockets() {
    static TOLD: Once = Once::new();
    if cfg!(target_os = "linux") && !jail::can_scope_abstract_sockets() {
        let why =
            "this kernel cannot keep builds that use the machine's network from its abstract Unix sockets";
        TOLD.call_once(|| tracing::warn!("{why} (landlock, Linux 6.12)"));
    }
}

impl Times {
    pub fn seconds(&self) -> ViewSeconds {
        ViewSeconds {
            setup: (self.started - self.begun).as_secs_f64(),
            run: (self.ended - self.started).as_secs_f64(),
            teardown: (self.gone - self.ended).as_secs_f64(),
        }
    }
}

fn open_log(builder: &Builder, plan: &Plan, ear: Ear, stop: &Cancel) -> Result<(Terminal, Log), BuildError> {
    let (store, settings) = (&builder.store, &builder.settings);
    let copy = settings
        .keep_build_log
        .then(|| store.create_log(&plan.derivation, settings.compress_build_log))
        .transpose()?;
    let (observer, derivation) = (Arc::clone(&builder.observer), plan.derivation.clone());
    let told = move |heard: &Heard<'_>| observer.observe(&Event::Heard(&derivation, heard));
    let keep = Keep { copy, tail: settings.log_lines, ear, closed: stop.clone() };
    log::open(plan.user.uid, keep, told).map_err(BuildError::Terminal)
}

/// The kernel says the same of a builder that is not there, and of one whose loader is not there.
fn not_started(error: JailError, plan: &Plan, view: &View) -> BuildError {
    let JailError::Exec { program, source } = error else { return BuildError::Jail(error) };
    if !plan.has_own_root() {
        return BuildError::Execute { program, error: source, source: None };
    }
    let search = |name: &str| {
        let value = plan.environment.get(&Word::from(name)).map(Word::as_os_str).unwrap_or_default();
        std::env::split_paths(value).collect()
    };
    let lack = program::check(view, &program, search("PATH"), search("LD_LIBRARY_PATH")).err().map(Lack);
    BuildError::Execute { program, error: source, source: lack }
}

/// Waits until the builder has ended, of itself or because it was stopped, and its view is unmounted, which took as
/// long as it says. Of a builder that failed nothing is taken, whether it could be stored or not.
fn wait(means: &Means<'_>, jail: Jail) -> Result<(Outcome, Duration), BuildError> {
    let stop = |cancel: &Cancel| {
        let killer = jail.killer();
        cancel.on_cancel(move || killer.kill())
    };
    let _stoppable = [stop(means.cancel), stop(means.stop)];
    let end = jail.wait_for_both().map_err(BuildError::Jail);
    if means.cancel.is_cancelled() {
        return Err(BuildError::Interrupted);
    }
    let End { outcome, unmounted, unmounting } = end?;
    match unmounted {
        Err(MountError::WriteBack { .. }) if outcome != Outcome::Exited(0) => {}
        unmounted => unmounted.map_err(|source| BuildError::Jail(JailError::Unmount { source }))?,
    }
    Ok((outcome, unmounting))
}

/// A build user has no processes before and after a build.
pub(crate) fn kill_processes(spawner: &Spawner, user: &BuildUser) -> Result<(), BuildError> {
    if user.is_dedicated() { Ok(spawner.kill_user(user.uid)?) } else { Ok(()) }
}

impl Plan {
    /// Whether the view is the build's root directory.
    #[must_use]
    pub fn has_own_root(&self) -> bool {
        self.mac.as_ref().is_none_or(|mac| mac.way.changes_root())
    }

    /// The jail that the plan is run in.
    #[must_use]
    pub fn jail(&self, root: Root) -> JailSpec {
        let own = |word: &Word| -> OsString { word.as_os_str().to_owned() };
        let user = jail::User {
            uid: self.user.uid,
            gid: self.user.gid,
            // In a user namespace of two ids there are no others, and Nix drops them there too.
            groups: if self.inside.is_some() { Vec::new() } else { self.user.groups.clone() },
            inside: self.inside.map(|ids| jail::Ids { uid: ids.uid, gid: ids.gid }),
        };
        let argv = self.arguments.iter().map(own).collect();
        JailSpec {
            network: self.network,
            hostname: self.hostname.into(),
            domainname: self.domainname.into(),
            proc: self.mounts.proc.clone(),
            pts: self.mounts.pts.clone(),
            shm: self.mounts.shm.clone(),
            shm_size: self.shm_size.clone(),
            env: self.environment.iter().map(|(name, value)| (own(name), own(value))).collect(),
            cwd: self.directory.clone(),
            umask: self.umask,
            // No core files, unless the build asks for them.
            limits: vec![Limit { resource: Resource::Core, soft: Some(0), hard: None }],
            system_calls: SystemCalls {
                filtered: self.system_calls.filtered,
                says_32_bits: self.system_calls.says_32_bits,
                says_linux_26: self.system_calls.says_linux_26,
                same_addresses: true,
                ..SystemCalls::strict()
            },
            mac: self.mac.clone(),
            ..JailSpec::new(root, user, self.program.as_os_str(), argv)
        }
    }
}
