//! What `build`, `shell` and `compare` have in common: the builder with its settings, and building.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use builder::build::{Builder, Hooks, Observer, Options, Purpose};
use builder::graph::{self, Finished, Graph, GraphError};
use builder::plan::{Host, SandboxPath, SandboxPathError};
use builder::store::{BuildUsers, Settings, Store};
use builder::store_path::StorePath;
use sandbox::backend::{BackendKind, Changes};
use sandbox::jail::Spawner;
use sandbox::recovery::{RecoveredRun, StateDir};

use super::{entry_mode, need_root};
use crate::error::CommandError;
use crate::globals::Globals;
use crate::itself;
#[cfg(target_os = "linux")]
use crate::session_host::SessionHost;
use crate::signals::Interrupt;
use crate::slow::say_if_slow;
use crate::targets::EvaluationArguments;

/// What every command that builds needs first.
pub struct BuildSetup {
    /// Stops what is built.
    pub interrupt: Interrupt,
    /// The store.
    pub store: Store,
    /// Nix's settings, all of which can be honoured.
    pub settings: Settings,
}

impl BuildSetup {
    /// Asks Nix for its settings.
    pub fn make(interrupt: Interrupt, evaluation: &EvaluationArguments) -> Result<BuildSetup, CommandError> {
        let store = evaluation.store()?;
        let settings = store.settings()?;
        settings.check_supported()?;
        Ok(BuildSetup { interrupt, store, settings })
    }
}

/// The host paths that the settings and the command line show.
pub fn sandbox_paths(settings: &Settings, given: &[String]) -> Result<Vec<SandboxPath>, SandboxPathError> {
    let given = given.iter().flat_map(|words| words.split_whitespace());
    SandboxPath::parse_all(settings.sandbox_paths.iter().map(String::as_str).chain(given))
}

/// The builder. What killed runs left behind is removed first.
pub fn builder(
    setup: BuildSetup,
    options: Options,
    backend: BackendKind,
    globals: &Globals,
    observer: Arc<dyn Observer>,
) -> Result<Arc<Builder>, CommandError> {
    need_root()?;
    let BuildSetup { interrupt, store, settings } = setup;
    let state = StateDir::open(&globals.state_dir)?;
    sweep_and_make_writable(&state, store.directory())?;
    builder::sweep::sweep(&globals.state_dir, &store)?;
    let loopbox = itself::program()?;
    let mac = entry_mode::host(&state, &globals.state_dir, &loopbox)?;
    Ok(Arc::new(Builder {
        host: Host { mac, ..Host::detect(&settings) },
        users: BuildUsers::of_group(&settings.build_users_group, store.state())?,
        store,
        settings,
        state,
        state_path: globals.state_dir.clone(),
        spawner: Spawner::new(loopbox),
        backend: backend.backend_with(Changes::default(), options.scratches),
        observer,
        cancel: interrupt.cancel().clone(),
        hooks: Hooks::default(),
        options,
    }))
}

/// The same for somebody whose views loopbox's daemon makes. Nix's daemon builds for him.
#[cfg(target_os = "linux")]
pub fn builder_by_daemon(
    setup: BuildSetup,
    options: Options,
    host: &SessionHost,
    globals: &Globals,
    observer: Arc<dyn Observer>,
) -> Result<Arc<Builder>, CommandError> {
    let BuildSetup { interrupt, store, settings } = setup;
    let state = host.state(globals)?;
    state.sweep()?;
    Ok(Arc::new(Builder {
        host: Host::detect(&settings),
        // He is none of them, and becomes nobody else.
        users: BuildUsers::of_group("", store.state())?,
        store,
        settings,
        state,
        state_path: globals.state_dir.clone(),
        spawner: Spawner::new(itself::program()?),
        backend: BackendKind::Nfs.backend(),
        observer,
        cancel: interrupt.cancel().clone(),
        hooks: Hooks::default(),
        options,
    }))
}

/// Removes what killed runs left behind, some of which may be in a store that only Nix and loopbox find writable.
pub fn sweep_and_make_writable(state: &StateDir, store: &Path) -> Result<Vec<RecoveredRun>, CommandError> {
    // Before this process has mounts of its own: what a killed run has mounted is the machine's.
    #[cfg_attr(not(target_os = "linux"), allow(unused_mut, reason = "the store is as it is"))]
    let mut swept = state.sweep()?;
    #[cfg(target_os = "linux")]
    if builder::store::make_writable(store)? {
        swept.retain(|swept| swept.left.is_empty());
        swept.extend(state.sweep()?);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = store;
    Ok(swept)
}

/// Finds out what is missing. Without a network it takes Nix seconds to find out that nothing can be fetched.
pub fn load(
    store: &Store,
    settings: &Settings,
    roots: &BTreeSet<StorePath>,
    purpose: Purpose,
) -> Result<Graph, GraphError> {
    say_if_slow("asking Nix what is missing, and what of it can be fetched", || {
        graph::load(store, settings, roots, purpose)
    })
}

/// Builds. Root is asked for only when there is something to do: looking is free.
pub fn build(builder: &Arc<Builder>, graph: Graph, jobs: usize) -> Result<Finished, CommandError> {
    if !graph.missing.is_empty() {
        need_root()?;
        builder.settings.check_store()?;
    }
    Ok(graph::build(builder, graph, jobs)?)
}

/// Builds what a derivation needs, and not itself.
pub fn inputs_of(builder: &Arc<Builder>, root: &StorePath) -> Result<Finished, CommandError> {
    // As if it were to be built again, whether its outputs are there or not: that brings its inputs.
    let graph = load(&builder.store, &builder.settings, &[root.clone()].into(), Purpose::Check)?;
    let mut graph = graph::fetch(builder, graph)?;
    graph.missing.remove(root);
    build(builder, graph, builder.settings.max_jobs as usize)
}
