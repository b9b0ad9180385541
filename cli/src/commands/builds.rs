//! What `build`, `shell` and `compare` have in common: derivations, the surroundings of builds, and building.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::backend::Kind;
use builder::build::{Builder, Hooks, Observer, Options};
use builder::graph::{self, Finished, Graph};
use builder::plan::{Host, SandboxPath, SandboxPathError};
use builder::store::{BuildUsers, Settings, Store};
use builder::store_path::{StorePath, StorePathError};
use mounter::stale::{StateDir, Swept};

use super::{entering, need_root};
use crate::arguments::Globals;
use crate::failure::Failure;
use crate::itself;
use crate::signals::Interrupt;

/// What should be a derivation of the store is not.
#[derive(Debug, thiserror::Error)]
#[error("{path:?} is not a derivation in the store")]
struct NotInStore {
    path: PathBuf,
    source: StorePathError,
}

/// What every command that builds begins with.
pub struct Start {
    /// Stops what is built.
    pub interrupt: Interrupt,
    /// The store.
    pub store: Store,
    /// Nix's settings, all of which can be honoured.
    pub settings: Settings,
}

impl Start {
    /// Asks Nix for its settings.
    pub fn make(interrupt: Interrupt) -> Result<Start, Failure> {
        let store = Store::from_environment();
        let settings = store.settings()?;
        settings.check_supported()?;
        Ok(Start { interrupt, store, settings })
    }
}

/// The derivations that targets stand for, in the order in which they were asked for.
pub fn derivations(
    store: &Store,
    targets: &[PathBuf],
    attribute: Option<&str>,
) -> Result<Vec<StorePath>, Failure> {
    let mut roots = Vec::new();
    for target in targets {
        if target.extension().is_some_and(|extension| extension == "drv") {
            let path = std::path::absolute(target)?;
            let parsed = StorePath::parse(&path.to_string_lossy(), store.directory());
            roots.push(parsed.map_err(|source| NotInStore { path, source })?);
        } else {
            roots.extend(store.instantiate(target, attribute)?);
        }
    }
    let mut seen = BTreeSet::new();
    roots.retain(|root| seen.insert(root.clone()));
    Ok(roots)
}

/// The host paths that the settings and the command line show.
pub fn sandbox_paths(settings: &Settings, given: &[String]) -> Result<Vec<SandboxPath>, SandboxPathError> {
    let given = given.iter().flat_map(|words| words.split_whitespace());
    SandboxPath::parse_all(settings.sandbox_paths.iter().map(String::as_str).chain(given))
}

/// Who builds. What dead runs have left is swept first.
pub fn builder(
    start: Start,
    options: Options,
    backend: Kind,
    globals: &Globals,
    observer: Arc<dyn Observer>,
) -> Result<Arc<Builder>, Failure> {
    let Start { interrupt, store, settings } = start;
    let state = StateDir::open(&globals.state_dir)?;
    sweep_and_make_writable(&state, store.directory())?;
    builder::sweep::sweep(&globals.state_dir, &store)?;
    let loopbox = itself::program()?;
    let mac = entering::host(&state, &globals.state_dir, &loopbox)?;
    Ok(Arc::new(Builder {
        host: Host { mac, ..Host::look(&settings) },
        users: BuildUsers::of_group(&settings.build_users_group, store.state())?,
        store,
        settings,
        state,
        state_path: globals.state_dir.clone(),
        loopbox,
        backend: backend.backend(),
        observer,
        cancel: interrupt.cancel().clone(),
        hooks: Hooks::default(),
        options,
    }))
}

/// Takes away what dead runs left, some of which may be in a store that only Nix and loopbox find writable.
pub fn sweep_and_make_writable(state: &StateDir, store: &Path) -> Result<Vec<Swept>, Failure> {
    // Before this process has mounts of its own: what a dead run has mounted is the machine's.
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

/// Builds. Root is asked for only when there is something to do: looking is free.
pub fn build(builder: &Arc<Builder>, graph: Graph, jobs: usize) -> Result<Finished, Failure> {
    if !graph.missing.is_empty() {
        need_root()?;
        builder.settings.check_store()?;
    }
    Ok(graph::build(builder, graph, jobs)?)
}
