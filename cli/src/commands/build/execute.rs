//! What `loopbox build` does once its words are read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use builder::backend::Nfs;
use builder::build::{BuildError, Builder, Options, Purpose};
use builder::cancel::Cancel;
use builder::graph::{self, Finished, Graph};
use builder::plan::{Host, SandboxPath};
use builder::status::Failures;
use builder::store::{BuildUsers, Settings, Store};
use builder::store_path::{StorePath, StorePathError};
use builder::watch::Limits;
use mounter::stale::StateDir;

use super::{Arguments, answer, links, progress};
use crate::arguments::Globals;
use crate::commands::RunError;
use crate::failure::{Answer, FAILED, Failure, Status};
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

/// Loads the graph, builds what is missing, and answers.
pub fn execute(arguments: &Arguments, globals: &Globals) -> Answer {
    let interrupt = Interrupt::watch()?;
    let store = Store::from_environment();
    let settings = store.settings()?;
    settings.check_supported()?;
    let roots = arguments.derivations(&store)?;
    let graph = graph::load(&store, &settings, &roots.iter().cloned().collect(), arguments.purpose())?;
    let progress = progress::Progress::new(graph.missing.len(), arguments.no_build_output);
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
    fn purpose(&self) -> Purpose {
        match (self.check, self.repair) {
            (true, _) => Purpose::Check,
            (_, true) => Purpose::Repair,
            _ => Purpose::Make,
        }
    }

    /// What is to be built, in the order in which it was asked for.
    fn derivations(&self, store: &Store) -> Result<Vec<StorePath>, Failure> {
        let mut roots = Vec::new();
        for target in &self.targets {
            if target.extension().is_some_and(|extension| extension == "drv") {
                let path = std::path::absolute(target)?;
                let parsed = StorePath::parse(&path.to_string_lossy(), store.directory());
                roots.push(parsed.map_err(|source| NotInStore { path, source })?);
            } else {
                roots.extend(store.instantiate(target, self.attribute.as_deref())?);
            }
        }
        let mut seen = BTreeSet::new();
        roots.retain(|root| seen.insert(root.clone()));
        Ok(roots)
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
            keep_going: self.keep_going || settings.keep_going,
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
        roots: &[StorePath],
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

/// Tells of every failure. The exit status is that of `nix-build`, unless loopbox itself is what failed.
fn failed(builder: &Builder, failures: Vec<(StorePath, BuildError)>) -> Answer {
    let mut kinds = Failures::default();
    for (path, error) in failures {
        kinds.add(&error);
        let derivation = builder.store.locate(&path).display().to_string();
        answer::tail_of_log(&derivation, &error);
        eprint!("{}", Failure::from(NotBuilt { derivation, source: error }));
    }
    Ok(Status::Exited(kinds.exit_status().unwrap_or(FAILED).into()))
}
