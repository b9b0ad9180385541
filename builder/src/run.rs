//! One build, from its locks to its registered outputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sandbox::SessionOutcome;

use crate::build::{
    BuildError, BuildRequest, BuildSlot, BuildStats, Builder, Built, Event, Purpose, Seconds,
};
use crate::build_run::{BuildRun, run_builder};
use crate::deep::DeepRun;
use crate::derivation::Derivation;
use crate::hooks;
use crate::output::{OutputError, ReplacePolicy, StagedOutputs, is_whole};
use crate::plan::Plan;
use crate::report::BuildReport;
use crate::store::{BuildUser, PathInfo, RegisterWhen};
use crate::store_path::StorePath;
use crate::sweep::Pending;
use crate::visible;

impl Builder {
    /// Builds a derivation whose inputs are valid; blocks until that is done.
    ///
    /// # Errors
    /// The step that failed. Nothing is left of the build then but what was asked to be kept.
    pub fn build(
        &self,
        path: &StorePath,
        derivation: &Derivation<'_>,
        purpose: Purpose,
        turn: BuildSlot<'_>,
    ) -> Result<Built, BuildError> {
        derivation.check_buildable(self.store.directory())?;
        let outputs = derivation.output_paths(self.store.directory())?;
        let paths: BTreeSet<StorePath> = outputs.iter().map(|(_, path)| path.clone()).collect();
        let inputs = self.inputs(derivation)?;
        let mut needed = inputs.clone();
        needed.insert(path.clone());
        self.store.hold(&needed, &paths)?;

        let places = paths.iter().map(|path| self.store.locate(path)).collect();
        let pending = Pending::write(&self.state_path, &paths).map_err(BuildError::Note)?;
        let _locks = self.lock(&places)?;
        pending.write_again(&paths).map_err(BuildError::Note)?;
        let unwanted = self.unwanted(path, &paths, purpose)?;
        let mut built = Built { derivation: path.clone(), outputs: BTreeMap::new(), build: None };
        if unwanted != paths {
            let mut request = BuildRequest { purpose, unwanted, ..self.request(path, derivation, inputs)? };
            if purpose == Purpose::Check {
                request.variations.list.clone_from(&self.options.vary);
            }
            let deep = self.options.deep.then(|| DeepRun::make(self, &request)).transpose()?;
            let (infos, mut stats) = run(self, &mut request, deep, turn)
                .inspect_err(|error| self.keep_report(path, error.report()))?;
            self.keep_report(path, Some(&stats.report));
            stats.files_visible = self.options.count_visible.then(|| visible::count(&self.store, &request));
            (built.outputs, built.build) = (infos, Some(stats));
            self.tell_of(&built)?;
        }
        self.add_valid_outputs(&mut built, outputs)?;
        Ok(built)
    }

    /// Those of a derivation's outputs that need not be made.
    fn unwanted(
        &self,
        path: &StorePath,
        outputs: &BTreeSet<StorePath>,
        purpose: Purpose,
    ) -> Result<BTreeSet<StorePath>, BuildError> {
        let absent = |path: &StorePath| self.store.locate(path).symlink_metadata().is_err();
        if purpose == Purpose::Make && outputs.iter().all(absent) {
            // The names are locked, so that nobody else makes them meanwhile.
            return Ok(BTreeSet::new());
        }
        let invalid = self.store.invalid(outputs)?;
        let mut valid: BTreeSet<StorePath> = outputs.difference(&invalid).cloned().collect();
        match purpose {
            Purpose::Make => {}
            Purpose::Check if invalid.is_empty() => valid.clear(),
            Purpose::Check => {
                return Err(BuildError::NothingToCheck { derivation: self.store.locate(path) });
            }
            Purpose::Repair => {
                let infos = self.store.infos(&valid)?;
                for (path, info) in &infos {
                    if !is_whole(&self.store, info)? {
                        valid.remove(path);
                    }
                }
            }
        }
        Ok(valid)
    }

    /// Keeps what is reported of a build beside its log.
    fn keep_report(&self, derivation: &StorePath, report: Option<&BuildReport>) {
        let Some(report) = report.filter(|_| self.settings.keep_build_log) else { return };
        if let Err(error) = report.keep(&self.store, derivation) {
            tracing::warn!(error = &error as &dyn std::error::Error, "the report of a build is not kept");
        }
    }

    /// Runs the hook for what has been built.
    fn tell_of(&self, built: &Built) -> Result<(), BuildError> {
        let Some(hook) = &self.settings.post_build_hook else { return Ok(()) };
        let outputs = built.outputs.values().map(|info| info.path.clone()).collect();
        let line = |line: &str| self.observer.observe(&Event::Hook("post-build-hook", line));
        Ok(self.hooks.post_build(hook, &self.store, &built.derivation, &outputs, line)?)
    }

    fn add_valid_outputs(
        &self,
        built: &mut Built,
        outputs: Vec<(String, StorePath)>,
    ) -> Result<(), BuildError> {
        let others: Vec<(String, StorePath)> =
            outputs.into_iter().filter(|(name, _)| !built.outputs.contains_key(name)).collect();
        let mut infos = self.store.infos(&others.iter().map(|(_, path)| path.clone()).collect())?;
        built
            .outputs
            .extend(others.into_iter().filter_map(|(name, path)| Some((name, infos.remove(&path)?))));
        Ok(())
    }
}

/// Builds: what it returns has been registered.
fn run(
    builder: &Builder,
    request: &mut BuildRequest<'_>,
    deep: Option<DeepRun>,
    turn: BuildSlot<'_>,
) -> Result<(BTreeMap<String, PathInfo>, BuildStats), BuildError> {
    let BuildRun { plan, ended, access, began, copies, place, user } =
        match run_builder(builder, request, &*builder.backend) {
            Err(BuildError::Builder(mut failure)) => {
                failure.report.deep = deep.map(|deep| deep.beside(None));
                failure.report.varied.clone_from(&request.variations.list);
                return Err(BuildError::Builder(failure));
            }
            run => run?,
        };
    let made = StagedOutputs::inspect(&plan, &builder.store, &request.unwanted, copies.as_deref())?;
    let mut report =
        BuildReport::of(&builder.store, request.path, &request.inputs, access, Some(made.infos()))?;
    report.deep = deep.map(|deep| deep.beside(Some(made.infos())));
    report.varied.clone_from(&request.variations.list);
    if let Some(allowed) = &builder.options.strict {
        report = report.check(allowed)?;
    }
    let infos = take(builder, request, &plan, made, user, turn)?;
    drop(place);
    let SessionOutcome { times, usage, .. } = ended;
    let seconds = Seconds::new(times.started - began, times.gone - times.started, times.gone.elapsed());
    let stats = BuildStats { files_visible: None, spent: usage, seconds, view: times.seconds(), report };
    Ok((infos, stats))
}

/// Registers the outputs, or compares them with those that are registered. Once they are made, the user and the turn
/// are free for the next build.
fn take(
    builder: &Builder,
    request: &BuildRequest<'_>,
    plan: &Plan,
    made: StagedOutputs<'_>,
    user: BuildUser,
    turn: BuildSlot<'_>,
) -> Result<BTreeMap<String, PathInfo>, BuildError> {
    match request.purpose {
        Purpose::Make => {
            drop(user);
            let when = turn.when;
            drop(turn);
            Ok(made.register(ReplacePolicy::Remove, when)?)
        }
        Purpose::Repair => Ok(made.register(ReplacePolicy::Exchange, RegisterWhen::Now)?),
        Purpose::Check => {
            let hook = builder.settings.diff_hook.as_deref();
            let outputs = made.differing(builder.options.keep_failed || hook.is_some())?;
            if outputs.is_empty() {
                made.trust()?;
                return Ok(made.infos().clone());
            }
            let derivation = builder.store.locate(request.path);
            for output in &outputs {
                let line = |line: &str| builder.observer.observe(&Event::Hook("diff-hook", line));
                let run = |hook: &Path| {
                    hooks::diff(hook, output, &derivation, &plan.scratch.build, &plan.jail.user, line)
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
