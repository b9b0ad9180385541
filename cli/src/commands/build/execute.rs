//! What `loopbox build` does once its words are read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use builder::backend::Nfs;
use builder::build::{BuildError, Builder, Options};
use builder::cancel::Cancel;
use builder::graph::{self, Finished, Graph};
use builder::plan::{Host, SandboxPath};
use builder::store::{BuildUsers, Settings, Store};
use builder::store_path::{StorePath, StorePathError};
use builder::watch::{Exceeded, Limits};
use mounter::jail::Outcome;
use mounter::stale::StateDir;

use super::{Arguments, answer, links, progress};
use crate::arguments::Globals;
use crate::commands::RunError;
use crate::failure::{Answer, Failure, Status};
use crate::output;
use crate::signals::Interrupt;

/// This program, however it was called.
pub const SELF: &str = "/proc/self/exe";

/// A derivation could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build '{derivation}'")]
struct NotBuilt {
    derivation: String,
    source: BuildError,
}

/// What should be a derivation of the store is not.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} is not a derivation in the store")]
struct NotInStore {
    path: PathBuf,
    source: StorePathError,
}

/// Exit status of failed builds of which no single status says it all, as Nix has it.
const BUILD_FAILED: i32 = 100;

/// Exit status when a build took too long or was silent for too long, as Nix has it.
const TIMED_OUT: i32 = 101;

/// Loads the graph, builds what is missing, and answers.
pub fn execute(arguments: &Arguments, globals: &Globals) -> Answer {
    let interrupt = Interrupt::watch()?;
    let store = Store::from_environment();
    let settings = store.settings()?;
    settings.check_supported()?;
    let roots = arguments.derivations(&store)?;
    let graph = graph::load(&store, &settings, &roots)?;
    let progress = progress::Progress::new(graph.missing.len());
    let builder = Arc::new(arguments.builder(store, settings, globals, Arc::new(progress.clone()))?);
    if arguments.dry_run {
        answer::print(&answer::plans(&builder, &graph))?;
        return Ok(Status::Done);
    }
    let cancel = builder.cancel.clone();
    let _stopped = interrupt.on_signal(move || cancel.cancel());
    let jobs = arguments.jobs.unwrap_or(builder.settings.max_jobs as usize);
    let finished = build(&builder, graph, jobs)?;
    progress.end();
    arguments.answer(&builder, &roots, finished, &interrupt)
}

/// Root is asked for only when something has to be built: looking is free.
fn build(builder: &Arc<Builder>, graph: Graph, jobs: usize) -> Result<Finished, Failure> {
    if !graph.missing.is_empty() && !nix::unistd::Uid::effective().is_root() {
        return Err(RunError::NotRoot.into());
    }
    Ok(graph::build(builder, graph, jobs)?)
}

impl Arguments {
    fn derivations(&self, store: &Store) -> Result<BTreeSet<StorePath>, Failure> {
        if self.target.extension().is_some_and(|extension| extension == "drv") {
            let path = std::path::absolute(&self.target)?;
            let parsed = StorePath::parse(&path.to_string_lossy(), store.directory());
            return Ok(BTreeSet::from([parsed.map_err(|source| NotInStore { path, source })?]));
        }
        Ok(store.instantiate(&self.target, self.attribute.as_deref())?.into_iter().collect())
    }

    fn builder(
        &self,
        store: Store,
        settings: Settings,
        globals: &Globals,
        observer: Arc<dyn builder::build::Observer>,
    ) -> Result<Builder, Failure> {
        let given = self.sandbox_paths.iter().flat_map(|words| words.split_whitespace());
        let words = settings.sandbox_paths.iter().map(String::as_str).chain(given);
        let sandbox_paths = SandboxPath::parse_all(words)?;
        let options = Options {
            cores: self.cores,
            keep_failed: self.keep_failed || settings.keep_failed,
            sandbox_paths,
            count_visible: self.json,
            limits: Limits::new(
                self.timeout.unwrap_or(settings.timeout),
                self.max_silent_time.unwrap_or(settings.max_silent_time),
                settings.max_build_log_size,
            ),
        };
        let state = StateDir::open(&globals.state_dir)?;
        state.sweep()?;
        builder::sweep::sweep(&globals.state_dir, &store)?;
        Ok(Builder {
            host: Host::look(&settings),
            users: BuildUsers::of_group(&settings.build_users_group, store.state())?,
            store,
            settings,
            state,
            state_path: globals.state_dir.clone(),
            loopbox: PathBuf::from(SELF),
            backend: Box::new(Nfs),
            observer,
            cancel: Cancel::default(),
            options,
        })
    }

    fn answer(
        &self,
        builder: &Builder,
        roots: &BTreeSet<StorePath>,
        finished: Finished,
        interrupt: &Interrupt,
    ) -> Answer {
        if self.json {
            answer::print(&answer::finished(builder, roots, &finished)?)?;
        }
        if let Some(status) = interrupt.status() {
            return Ok(status);
        }
        answer::list_hidden(&finished);
        if !finished.failed.is_empty() {
            return failed(builder, finished.failed);
        }
        let outputs = answer::outputs(builder, roots)?;
        if !self.no_out_link {
            links::make(&builder.store, &self.out_link, &outputs)?;
        }
        if !self.json {
            for (_, path) in outputs.iter().flatten() {
                output::print(&builder.store.locate(path).to_string_lossy())?;
            }
        }
        Ok(Status::Done)
    }
}

/// Tells of every failure. The status of a builder that alone failed is loopbox's own.
fn failed(builder: &Builder, failures: Vec<(StorePath, BuildError)>) -> Answer {
    let alone = failures.len() == 1;
    let mut status = Status::Exited(BUILD_FAILED);
    for (path, error) in failures {
        let derivation = builder.store.locate(&path).display().to_string();
        answer::tail_of_log(&derivation, &error);
        let own = match &error {
            BuildError::Builder(failure) => Some(own_status(failure)),
            _ => None,
        };
        let failure = Failure::from(NotBuilt { derivation, source: error });
        match (alone, own) {
            (true, None) => return Err(failure),
            (true, Some(own)) => status = own,
            (false, _) => {}
        }
        eprint!("{failure}");
    }
    Ok(status)
}

fn own_status(failure: &builder::build::Failure) -> Status {
    match (failure.exceeded, failure.outcome) {
        (Some(Exceeded::Time(_) | Exceeded::Silence(_)), _) => Status::Exited(TIMED_OUT),
        (Some(Exceeded::Log(_)), _) => Status::Exited(BUILD_FAILED),
        (None, Outcome::Exited(status)) => Status::Exited(status),
        (None, Outcome::Signaled(signal)) => Status::Signaled(signal),
    }
}
