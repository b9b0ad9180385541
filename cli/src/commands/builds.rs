//! What `build`, `shell` and `compare` have in common: derivations, the surroundings of builds, and building.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::build::{Builder, Hooks, Observer, Options, Purpose};
use builder::graph::{self, Finished, Graph};
use builder::plan::{Host, SandboxPath, SandboxPathError};
use builder::store::{BuildUsers, Settings, Store};
use builder::store_path::{StorePath, StorePathError};
use sandbox::backend::Kind;
use sandbox::jail::Spawner;
use sandbox::recovery::{StateDir, Swept};

use super::{entering, need_root};
use crate::error::CommandError;
use crate::failures::UsageError;
use crate::globals::Globals;
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
    pub fn make(interrupt: Interrupt) -> Result<Start, CommandError> {
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
) -> Result<Vec<StorePath>, CommandError> {
    let mut roots = Vec::new();
    for target in targets {
        check_target(target, store)?;
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

/// Refuses what other programs of Nix take as a target and this one does not, with the words that do the same.
fn check_target(target: &Path, store: &Store) -> Result<(), UsageError> {
    let text = target.to_string_lossy();
    let refused = |message: String, hint: String| Err(UsageError { message, hints: vec![hint] });
    if let Some((derivation, outputs)) = text.split_once(".drv^").or_else(|| text.split_once(".drv!")) {
        let message =
            format!("the outputs {outputs:?} cannot be chosen: all outputs of a derivation are built");
        return refused(message, format!("leave them out: {derivation}.drv"));
    }
    if target.extension().is_some_and(|extension| extension == "drv") {
        return Ok(());
    }
    if text.contains('#') && !target.exists() {
        let message =
            format!("{text:?} is an installable of a flake, and loopbox takes derivations and Nix files");
        return refused(message, format!("loopbox build $(nix path-info --derivation '{text}')"));
    }
    let is_output = StorePath::parse(&text, store.directory()).is_ok();
    if is_output && target.extension().is_none_or(|extension| extension != "nix") && !has_default(target) {
        let message = format!("{text:?} is a path of the store, and no derivation");
        let hint = match target.exists() {
            true => format!("its derivation, if the store knows it: nix-store --query --deriver {text}"),
            false => format!("'nix-store --realise {text}' fetches it, if it can be fetched"),
        };
        return refused(message, hint);
    }
    if !text.contains(['/', '<', '(', ':', '.']) && !target.exists() {
        let message = format!("there is no file {text:?} here");
        return refused(
            message,
            format!("'-A {text}' names an attribute of default.nix, 'FILE -A {text}' one of another file"),
        );
    }
    Ok(())
}

fn has_default(directory: &Path) -> bool {
    directory.join("default.nix").exists()
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
) -> Result<Arc<Builder>, CommandError> {
    need_root()?;
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
        spawner: Spawner::new(loopbox),
        backend: backend.backend(),
        observer,
        cancel: interrupt.cancel().clone(),
        hooks: Hooks::default(),
        options,
    }))
}

/// Takes away what dead runs left, some of which may be in a store that only Nix and loopbox find writable.
pub fn sweep_and_make_writable(state: &StateDir, store: &Path) -> Result<Vec<Swept>, CommandError> {
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
    let graph = graph::load(&builder.store, &builder.settings, &[root.clone()].into(), Purpose::Check)?;
    let mut graph = graph::fetch(builder, graph)?;
    graph.missing.remove(root);
    build(builder, graph, builder.settings.max_jobs as usize)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Store, check_target};

    fn refusal(target: &str) -> String {
        let store = Store::at("/nix/store".into(), "/nix/var/nix".into(), "/nix/var/log/nix".into());
        let refused = check_target(Path::new(target), &store).expect_err("it is no target");
        format!("{}\n{}", refused.message, refused.hints.join("\n"))
    }

    #[test]
    fn what_only_other_programs_of_nix_take_is_refused_with_what_does_the_same() {
        insta::assert_snapshot!(refusal(".#hello"), @r#"
        ".#hello" is an installable of a flake, and loopbox takes derivations and Nix files
        loopbox build $(nix path-info --derivation '.#hello')
        "#);
        insta::assert_snapshot!(refusal("nixpkgs#hello"), @r#"
        "nixpkgs#hello" is an installable of a flake, and loopbox takes derivations and Nix files
        loopbox build $(nix path-info --derivation 'nixpkgs#hello')
        "#);
        insta::assert_snapshot!(refusal("/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello"), @r#"
        "/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello" is a path of the store, and no derivation
        'nix-store --realise /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello' fetches it, if it can be fetched
        "#);
        insta::assert_snapshot!(refusal("/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello.drv^out,dev"), @r#"
        the outputs "out,dev" cannot be chosen: all outputs of a derivation are built
        leave them out: /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-hello.drv
        "#);
        insta::assert_snapshot!(refusal("hello"), @r#"
        there is no file "hello" here
        '-A hello' names an attribute of default.nix, 'FILE -A hello' one of another file
        "#);
    }

    #[test]
    fn derivations_files_and_what_nix_itself_looks_up_are_targets() {
        let store = Store::at("/nix/store".into(), "/nix/var/nix".into(), "/nix/var/log/nix".into());
        for target in
            ["/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv", "./absent.nix", "<nixpkgs>", "src", "/a/b"]
        {
            assert!(check_target(Path::new(target), &store).is_ok(), "{target}");
        }
    }
}
