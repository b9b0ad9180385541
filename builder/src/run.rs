//! One build, from a user of its own to registered outputs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use mounter::jail::{self, Jail, JailError, JailSpec, Limit, Outcome, Resource, Root, Stdio3, kill_user};

use crate::access::HiddenPaths;
use crate::backend::Realised;
use crate::build::{BuildError, Builder, Event, Failure, Job, Measures, Seconds};
use crate::log::{self, Log};
use crate::output;
use crate::plan::{Plan, User};
use crate::scratch::Place;
use crate::store::{BuildUser, PathInfo};

/// Builds: what it returns has been registered.
pub(crate) fn run(
    builder: &Builder,
    job: &Job<'_>,
) -> Result<(BTreeMap<String, PathInfo>, Measures), BuildError> {
    let began = Instant::now();
    let user = builder.users.acquire()?;
    kill_processes(&user)?;
    let mut place = Place::make(&builder.store, &builder.settings, &builder.state, job.path)?;
    let who = User { uid: user.uid, gid: user.gid, groups: user.groups.clone() };
    let plan = builder.plan(job, &who, &place.scratch)?;
    place.write_files(&plan)?;

    let asked = Arc::new(HiddenPaths::default());
    let sink = Arc::clone(&asked);
    let served = builder.backend.realise(&plan.view, user.uid, &place.mount_point, sink)?;
    builder.observer.observe(&Event::Started(job.path));
    let (jail, log) = start(builder, &plan, served.as_ref(), &place)?;
    let started = Instant::now();
    let ended = wait(builder, jail);
    let lines = log.finish();
    kill_processes(&user)?;
    let nfs_calls = served.end();
    let stopped = Instant::now();

    let hidden = asked.existing(&plan.view, builder.store.directory());
    match ended? {
        Outcome::Exited(0) => {}
        outcome => {
            let kept = builder.options.keep_failed.then(|| place.keep());
            return Err(BuildError::Builder(Box::new(Failure { outcome, log: lines, kept, hidden })));
        }
    }
    let infos = output::take(&plan, &builder.store, &builder.state_path, &job.already_valid)?;
    drop(place);
    let seconds = Seconds::new(started - began, stopped - started, stopped.elapsed());
    Ok((infos, Measures { files_visible: None, nfs_calls, seconds, hidden }))
}

/// Starts the builder; returns once it runs.
fn start(
    builder: &Builder,
    plan: &Plan,
    served: &dyn Realised,
    place: &Place,
) -> Result<(Jail, Log), BuildError> {
    let (observer, derivation) = (Arc::clone(&builder.observer), plan.derivation.clone());
    let line = move |line: &str| observer.observe(&Event::Line(&derivation, line));
    let (terminal, log) = log::open(plan.user.uid, &place.log, builder.settings.log_lines, line)
        .map_err(BuildError::Terminal)?;
    let stdio = Stdio3 {
        stdin: Stdio::null(),
        stdout: Stdio::from(terminal.stdout),
        stderr: Stdio::from(terminal.stderr),
    };
    match Jail::spawn(&builder.loopbox, &plan.jail(served.root()), stdio) {
        Ok(jail) => Ok((jail, log)),
        Err(error) => {
            log.finish();
            Err(match error {
                JailError::Exec { program, source } => {
                    BuildError::Execute { program, source: Box::new(source) }
                }
                other => BuildError::Jail(other),
            })
        }
    }
}

/// Waits until the builder has ended, of itself or because it was stopped, and its view is unmounted.
fn wait(builder: &Builder, jail: Jail) -> Result<Outcome, BuildError> {
    let killer = jail.killer();
    let _stoppable = builder.cancel.on_cancel(move || killer.kill());
    let outcome = jail.wait().map_err(BuildError::Jail);
    if builder.cancel.is_cancelled() { Err(BuildError::Interrupted) } else { outcome }
}

/// A build user has no processes before and after a build.
fn kill_processes(user: &BuildUser) -> Result<(), BuildError> {
    if user.is_dedicated() { Ok(kill_user(user.uid)?) } else { Ok(()) }
}

impl Plan {
    /// The jail that the plan is run in.
    #[must_use]
    pub fn jail(&self, root: Root) -> JailSpec {
        let own = |word: &crate::plan::Word| -> OsString { word.as_os_str().to_owned() };
        JailSpec {
            root,
            user: jail::User {
                uid: self.user.uid,
                gid: self.user.gid,
                // In a user namespace of two ids there are no others, and Nix drops them there too.
                groups: if self.inside.is_some() { Vec::new() } else { self.user.groups.clone() },
                inside: self.inside.map(|ids| jail::Ids { uid: ids.uid, gid: ids.gid }),
            },
            network: self.network,
            hostname: self.hostname.into(),
            domainname: self.domainname.into(),
            proc: self.mounts.proc.clone(),
            pts: self.mounts.pts.clone(),
            shm: self.mounts.shm.clone(),
            program: PathBuf::from(self.program.as_os_str()),
            argv: self.arguments.iter().map(own).collect(),
            env: self.environment.iter().map(|(name, value)| (own(name), own(value))).collect(),
            cwd: self.directory.clone(),
            umask: self.umask,
            // No core files, unless the build asks for them.
            limits: vec![Limit { resource: Resource::Core, soft: Some(0), hard: None }],
            no_new_privs: true,
            new_session: true,
        }
    }
}
