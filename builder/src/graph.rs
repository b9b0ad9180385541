//! Builds what is missing of a graph of derivations: inputs first, several at a time.

mod broken;
mod fetch;
mod load;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};

use crate::build::{BuildError, BuildSlot, Builder, Built, Event, Purpose};
use crate::derivation::{Derivation, KindError};
use crate::output::OutputError;
use crate::store::{RegisterWhen, StoreError};
use crate::store_path::{StorePath, StorePathError};

pub use fetch::fetch;
pub use load::load;

/// Builds that have ended and wait to be registered, at most. Each has a thread, and some descriptors for its locks and
/// its directories.
const UNREGISTERED_MAX: usize = 64;

/// What has to be done before some derivations' outputs are valid.
#[derive(Debug, Default)]
pub struct Graph {
    /// Derivations to build.
    pub missing: BTreeMap<StorePath, Missing>,
    /// Paths that Nix can fetch, so that they need not be built.
    pub fetch: BTreeSet<StorePath>,
    /// The derivations that were asked for.
    roots: BTreeSet<StorePath>,
    /// What they are built for.
    purpose: Purpose,
    /// Paths that Nix could not fetch, though it had said it would.
    unfetchable: BTreeSet<StorePath>,
}

/// A derivation to build.
#[derive(Debug)]
pub struct Missing {
    /// The derivation.
    pub derivation: Derivation<'static>,
    /// Those that have to be built before.
    pub after: BTreeSet<StorePath>,
    /// What it is built for.
    pub purpose: Purpose,
}

/// Why a graph is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// The store did not answer, or a derivation in it cannot be read.
    #[error("cannot read the graph of derivations")]
    Store(#[from] StoreError),
    /// A derivation names something that is not a store path.
    #[error("the derivation '{derivation}' has an input that is not a store path")]
    Input {
        /// The derivation.
        derivation: StorePath,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A derivation cannot be built here.
    #[error("the derivation '{derivation}' cannot be built")]
    Kind {
        /// The derivation.
        derivation: StorePath,
        /// The underlying error.
        source: KindError,
    },
    /// A derivation is asked for an output that it does not have.
    #[error("the derivation '{derivation}' has no output '{output}'")]
    NoOutput {
        /// The derivation.
        derivation: StorePath,
        /// The output.
        output: String,
    },
    /// A path cannot be made again, since nobody knows how it was made.
    #[error("cannot repair path '{}': it is not known how it was made", path.display())]
    NoDeriver {
        /// The path.
        path: std::path::PathBuf,
    },
    /// The store could not be read.
    #[error("cannot look for what is to be repaired")]
    Look(#[source] OutputError),
    /// The threads that builds run on could not be had.
    #[error("cannot start the threads that builds run on")]
    Runtime(#[source] std::io::Error),
}

/// How building a graph went.
#[derive(Debug, Default)]
pub struct Finished {
    /// What was built, in the order in which it was.
    pub built: Vec<Built>,
    /// What failed.
    pub failed: Vec<(StorePath, BuildError)>,
    /// What was not begun because something had failed.
    pub skipped: BTreeSet<StorePath>,
}

/// Builds a graph of which all has been fetched that can be, `jobs` derivations at a time. The first failure stops new builds from beginning, unless they are to
/// keep going; those that run are waited for.
///
/// # Errors
/// When there are no threads to build on. Failed builds are in [`Finished`].
pub fn build(builder: &Arc<Builder>, graph: Graph, jobs: usize) -> Result<Finished, GraphError> {
    builder.observer.observe(&Event::Planned(graph.missing.len()));
    // At once, so that not every build has to ask. One that cannot be held is found again by its own build.
    let _ = builder.store.hold(&graph.missing.keys().cloned().collect(), &BTreeSet::new());
    let jobs = jobs.clamp(1, builder.users.count().unwrap_or(Semaphore::MAX_PERMITS >> 1));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime =
        runtime.max_blocking_threads(jobs + UNREGISTERED_MAX).build().map_err(GraphError::Runtime)?;
    Ok(runtime.block_on(Schedule::new(builder, graph, jobs).run()))
}

struct Schedule<'a> {
    builder: &'a Arc<Builder>,
    /// One for each build that may run at a time.
    slots: Arc<Semaphore>,
    /// How many may run, or wait to be registered.
    unfinished_max: usize,
    waiting: BTreeMap<StorePath, Missing>,
    running: JoinSet<Result<Built, BuildError>>,
    names: BTreeMap<Id, StorePath>,
    finished: Finished,
}

impl<'a> Schedule<'a> {
    fn new(builder: &'a Arc<Builder>, graph: Graph, jobs: usize) -> Schedule<'a> {
        Schedule {
            builder,
            slots: Arc::new(Semaphore::new(jobs)),
            unfinished_max: jobs + UNREGISTERED_MAX,
            waiting: graph.missing,
            running: JoinSet::new(),
            names: BTreeMap::new(),
            finished: Finished::default(),
        }
    }

    async fn run(mut self) -> Finished {
        self.start_ready();
        let slots = Arc::clone(&self.slots);
        loop {
            let can_start = self.next().is_some();
            tokio::select! {
                joined = self.running.join_next_with_id() => match joined {
                    Some(joined) => self.join(joined),
                    None => break,
                },
                // A build that has ended gives its slot back before its outputs are registered.
                slot = slots.acquire(), if can_start => drop(slot),
            }
            self.start_ready();
        }
        self.finished.skipped.extend(self.waiting.into_keys());
        self.finished
    }

    fn start_ready(&mut self) {
        while let Some(path) = self.next() {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return };
            let Some(Missing { derivation, purpose, .. }) = self.waiting.remove(&path) else { return };
            let awaited = self.waiting.values().any(|missing| missing.after.contains(&path));
            let when = if awaited { RegisterWhen::Now } else { RegisterWhen::Soon };
            let (builder, name) = (Arc::clone(self.builder), path.clone());
            let task = self.running.spawn_blocking(move || {
                let slot = BuildSlot { slot: Some(slot), ticket: builder.store.ticket(), when };
                builder.build(&name, &derivation, purpose, slot)
            });
            self.names.insert(task.id(), path);
        }
    }

    /// What can begin as soon as there is a slot for it.
    fn next(&self) -> Option<StorePath> {
        let stops = !self.finished.failed.is_empty() && !self.builder.options.keep_going
            || self.builder.cancel.is_cancelled()
            || self.running.len() >= self.unfinished_max;
        let mut ready = self.waiting.iter().filter(|(_, missing)| !stops && missing.after.is_empty());
        ready.next().map(|(path, _)| path.clone())
    }

    fn join(&mut self, joined: Result<(Id, Result<Built, BuildError>), JoinError>) {
        let (id, result) = match joined {
            Ok((id, result)) => (id, result),
            // Whatever made it panic, the other builds are none the worse for it.
            Err(error) => (error.id(), Err(panicked(error))),
        };
        if let Some(path) = self.names.remove(&id) {
            self.end(path, result);
        }
    }

    fn end(&mut self, path: StorePath, result: Result<Built, BuildError>) {
        match result {
            Ok(built) => {
                self.builder.observer.observe(&Event::Built(&built));
                for missing in self.waiting.values_mut() {
                    missing.after.remove(&path);
                }
                self.finished.built.push(built);
            }
            Err(error) => {
                self.builder.observer.observe(&Event::Failed(&path, &error));
                self.finished.failed.push((path, error));
            }
        }
    }
}

/// What a build's thread that did not end in order comes to.
fn panicked(error: JoinError) -> BuildError {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            BuildError::Panicked { message: text.unwrap_or_default() }
        }
        Err(_) => BuildError::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_one_build_s_failure() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let panics = || -> Result<Built, BuildError> { panic!("a {}", "reason") };
        let joined = runtime.block_on(async { tokio::task::spawn_blocking(panics).await });
        let error = panicked(joined.map(drop).unwrap_err());
        assert!(matches!(&error, BuildError::Panicked { message } if message == "a reason"), "{error}");
    }
}
