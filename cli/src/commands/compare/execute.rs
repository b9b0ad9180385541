//! What `loopbox compare` does once its words are read.

mod chart;
mod html;
mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use builder::build::{Builder, Event, Observer, Options};
use builder::compare::{CompareOptions, Comparison, ComparisonVerdict, compare_builds};
use builder::store::Store;
use sandbox::backend::BackendKind;
use sandbox::compare::{ViewComparison, WalkContext, compare_views};
use sandbox::jail::Spawner;
use sandbox::limits::Limits;
use sandbox::recovery::StateDir;
use sandbox::temporary_directory;
use serde::Serialize;

use super::Arguments;
use crate::commands::build::progress::waiting_for;
use crate::commands::builds::{self, BuildSetup};
use crate::commands::{mount, need_root};
use crate::error::{CommandError, CommandResult};
use crate::exit::{DIFFERS, NOT_BUILT, Status};
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::signals::Interrupt;
use crate::{itself, output};

/// The results of all comparisons.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ComparisonReport {
    /// Derivation by derivation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    derivations: Vec<Comparison>,
    /// The view.
    #[serde(skip_serializing_if = "Option::is_none")]
    view: Option<ViewComparison>,
}

/// The report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the report {path:?}")]
struct WriteError {
    path: PathBuf,
    source: std::io::Error,
}

/// Compares, and answers.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    arguments.check()?;
    need_root()?;
    let interrupt = Interrupt::watch()?;
    let compared = match &arguments.view {
        Some(view) => arguments.views(view, globals, &interrupt),
        None => arguments.builds(BuildSetup::make(interrupt.clone(), &arguments.evaluation)?, globals),
    };
    // What was interrupted has failed, and that is no news.
    if let Some(status) = interrupt.status() {
        return Ok(status);
    }
    let report = compared?;
    if let Some(path) = &arguments.html {
        let written = html::page(&report).and_then(|page| std::fs::write(path, page));
        written.map_err(|source| WriteError { path: path.clone(), source })?;
    }
    if arguments.json {
        output::print_json(&report)?;
    } else {
        output::print(table::text(&report))?;
    }
    Ok(report.status())
}

impl Arguments {
    fn check(&self) -> Result<(), UsageError> {
        let different: BTreeSet<&BackendKind> = self.backends.iter().collect();
        if different.len() == self.backends.len() {
            return Ok(());
        }
        let hints = vec!["--rounds says how often each is used".into()];
        Err(UsageError { message: "a backend is named twice".into(), hints })
    }

    fn builds(&self, mut setup: BuildSetup, globals: &Globals) -> Result<ComparisonReport, CommandError> {
        // Nothing of a comparison stays in the store or beside it.
        setup.settings.keep_build_log = false;
        let BuildSetup { store, settings, .. } = &setup;
        let roots = self.evaluation.derivations(store, &self.targets)?;
        let options = Options {
            cores: self.cores,
            sandbox_paths: builds::sandbox_paths(settings, &self.sandbox_paths)?,
            limits: Limits::new(settings.timeout, settings.max_silent_time, settings.max_build_log_size),
            ..Options::default()
        };
        let builder = builds::builder(setup, options, BackendKind::Nfs, globals, Arc::new(Quiet))?;
        let wanted = CompareOptions { backends: self.backends.clone(), rounds: self.rounds };
        let mut derivations = Vec::new();
        for root in &roots {
            output::tell(format_args!("comparing {}", builder.store.locate(root).display()));
            derivations.push(compare_one(&builder, root, &wanted)?);
        }
        Ok(ComparisonReport { derivations, view: None })
    }

    fn views(
        &self,
        file: &Path,
        globals: &Globals,
        interrupt: &Interrupt,
    ) -> Result<ComparisonReport, CommandError> {
        let spec = mount::read(file)?;
        spec.validate()?;
        let state = StateDir::open(&globals.state_dir)?;
        state.sweep()?;
        // Hard links are made on the store's volume, if there is a store.
        let store = Store::from_environment();
        let builds = store.state().join("builds");
        let base = if store.directory().is_dir() { builds } else { temporary_directory()? };
        std::fs::create_dir_all(&base)?;
        let spawner = Spawner::new(itself::program()?);
        let cancel = interrupt.cancel();
        let context = WalkContext { state: &state, spawner: &spawner, base: &base, cancel };
        let view = compare_views(&spec, &self.backends, context)?;
        Ok(ComparisonReport { derivations: Vec::new(), view: Some(view) })
    }
}

fn compare_one(
    builder: &Builder,
    root: &builder::store_path::StorePath,
    wanted: &CompareOptions,
) -> Result<builder::compare::Comparison, CommandError> {
    let derivation = builder.store.derivation(root)?;
    Ok(compare_builds(builder, root, &derivation, wanted)?)
}

/// What builders write is not shown: it comes many times.
struct Quiet;

impl Observer for Quiet {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Waiting(reason) = event {
            output::tell(waiting_for(reason));
        }
    }
}

impl ComparisonReport {
    fn status(&self) -> Status {
        let failed = self.derivations.iter().any(|one| one.verdict == ComparisonVerdict::Failed);
        let differs = self.derivations.iter().any(|one| one.verdict != ComparisonVerdict::Same)
            || self.view.as_ref().is_some_and(|view| view.walks.unexplained().next().is_some());
        match (failed, differs) {
            (true, _) => Status::Exited(NOT_BUILT.into()),
            (false, true) => Status::Exited(DIFFERS.into()),
            (false, false) => Status::Done,
        }
    }
}
