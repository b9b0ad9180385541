//! What `loopbox build` does once its words are read.

use std::sync::Arc;

use builder::build::{Builder, Options, Purpose};
#[cfg(target_os = "linux")]
use builder::derivation::KindError;
#[cfg(target_os = "linux")]
use builder::graph::GraphError;
use builder::graph::{self, Finished};
use builder::store::Settings;
use builder::store_path::StorePath;
#[cfg(target_os = "linux")]
use nix::unistd::geteuid;
use sandbox::backend::BackendKind;
use sandbox::limits::Limits;

#[cfg(target_os = "linux")]
use super::through_nix;
use super::{Arguments, links, results};
use crate::commands::builds::{self, BuildSetup};
use crate::error::{CommandError, CommandResult};
use crate::exit::Status;
use crate::failures::UsageError;
use crate::globals::Globals;
use crate::output;
use crate::report;
use crate::signals::Interrupt;

/// Loads the graph, builds what is missing, and answers.
pub fn execute(arguments: &Arguments, globals: &Globals) -> CommandResult {
    let setup = BuildSetup::make(Interrupt::watch()?, &arguments.evaluation)?;
    arguments.report.check(arguments.provided.backend)?;
    arguments.check_variations()?;
    arguments.conditions.check(&arguments.provided)?;
    let BuildSetup { store, settings, interrupt } = &setup;
    let roots = arguments.evaluation.derivations(store, &arguments.targets)?;
    let wanted = roots.iter().cloned().collect();
    let graph = match builds::load(store, settings, &wanted, arguments.purpose()) {
        #[cfg(target_os = "linux")]
        Err(GraphError::Kind { source: KindError::UnknownPath { .. }, .. }) => {
            return through_nix::execute(arguments, globals, &setup, &roots, true);
        }
        graph => graph?,
    };
    #[cfg(target_os = "linux")]
    if !geteuid().is_root() && !arguments.dry_run {
        return through_nix::execute(arguments, globals, &setup, &roots, !graph.missing.is_empty());
    }
    let progress = arguments.shown.progress();
    let (options, interrupt) = (arguments.options(settings)?, interrupt.clone());
    let observer = Arc::new(progress.clone());
    let builder = builds::builder(setup, options, arguments.provided.backend, globals, observer)?;
    if arguments.dry_run {
        results::print(&results::plans(&builder, &graph))?;
        return Ok(Status::Done);
    }
    let jobs = arguments.jobs.unwrap_or(builder.settings.max_jobs as usize);
    let finished = builds::build(&builder, graph::fetch(&builder, graph)?, jobs)?;
    progress.end();
    arguments.report(&builder, &roots, finished, &interrupt)
}

impl Arguments {
    /// Only loopbox's own server shows things otherwise than they are.
    fn check_variations(&self) -> Result<(), UsageError> {
        if self.vary.is_empty() || self.provided.backend == BackendKind::Nfs {
            return Ok(());
        }
        let message = format!("--vary: the backend '{}' shows everything as it is", self.provided.backend);
        Err(UsageError { message, hints: vec!["Leave out --backend.".into()] })
    }

    fn purpose(&self) -> Purpose {
        match (self.check, self.repair) {
            (true, _) => Purpose::Check,
            (_, true) => Purpose::Repair,
            _ => Purpose::Make,
        }
    }

    fn options(&self, settings: &Settings) -> Result<Options, CommandError> {
        Ok(Options {
            cores: self.cores,
            keep_failed: self.keep_failed || settings.keep_failed,
            keep_going: self.keep_going || settings.keep_going,
            sandbox_paths: builds::sandbox_paths(settings, &self.sandbox_paths)?,
            count_visible: self.json,
            report: self.report.is_wanted(),
            deep: self.report.is_deep(),
            strict: self.report.allowed()?,
            vary: self.vary.clone(),
            limits: Limits::new(
                self.timeout.unwrap_or(settings.timeout),
                self.max_silent_time.unwrap_or(settings.max_silent_time),
                settings.max_build_log_size,
            ),
            scratches: self.provided.scratches()?,
            conditions: self.conditions.conditions(),
            in_build_hook: false,
        })
    }

    fn report(
        &self,
        builder: &Builder,
        roots: &[StorePath],
        finished: Finished,
        interrupt: &Interrupt,
    ) -> CommandResult {
        if self.json {
            results::print(&results::finished(builder, roots, &finished)?)?;
        }
        if let Some(status) = interrupt.status() {
            return Ok(status);
        }
        if self.report.is_wanted() {
            let reports = results::full_reports(builder, &finished);
            reports.iter().for_each(report::tell_of);
            self.report.keep(reports)?;
        } else {
            results::list_hidden(&finished);
        }
        if !finished.failed.is_empty() {
            return Ok(results::failed(builder, finished.failed));
        }
        let outputs = results::outputs(builder, roots)?;
        if !self.no_out_link {
            links::make(&builder.store, &self.out_link, &outputs)?;
        }
        if !self.json {
            for (_, path) in outputs.iter().flatten() {
                output::print(builder.store.locate(path).to_string_lossy())?;
            }
        }
        Ok(Status::Done)
    }
}
