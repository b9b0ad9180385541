//! One derivation, built in each backend by turns. Nothing is registered; outputs are compared and thrown away.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sandbox::backend::BackendKind;
use sandbox::compare::{ObservedFile, WalkComparison, WalkError, Walker};
use sandbox::conditions::Conditions;
use sandbox::{Privilege, SessionError, SessionOutcome};

use super::first_outputs::{FirstOutputsDir, describe_failure};
use super::{BuiltRound, CompareError, Comparison, ComparisonVerdict, OutputDifference, Round, RoundResult};
use crate::build::{BuildError, BuildRequest, Builder, Purpose};
use crate::build_dirs::BuildDirs;
use crate::build_run::{BuildRun, kill_processes, run_builder};
use crate::derivation::Derivation;
use crate::output::{self, StagedOutputs};
use crate::store_path::StorePath;

/// The backends and rounds of a comparison.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// In which backends; the first is what the others are compared with.
    pub backends: Vec<BackendKind>,
    /// How often in each.
    pub rounds: u32,
}

/// Builds a derivation in each backend, round by round, and compares what comes of it.
///
/// # Errors
/// Why nothing could be compared. That it cannot be built in some backend is an answer, and not such an error.
pub fn compare_builds(
    builder: &Builder,
    path: &StorePath,
    derivation: &Derivation<'_>,
    options: &CompareOptions,
) -> Result<Comparison, CompareError> {
    let mut request = prepare(builder, path, derivation)?;
    let outputs = derivation.output_paths(builder.store.directory()).map_err(BuildError::from)?;
    let paths: BTreeSet<StorePath> = outputs.iter().map(|(_, path)| path.clone()).collect();
    let places = paths.iter().map(|path| builder.store.locate(path)).collect();
    let _locks = builder.lock(&places)?;
    let mut collection = Collection::new(builder, path)?;
    for round in 1..=options.rounds {
        // Each is the first one at times: what the first one finds in no cache, the others do.
        let turn = round as usize % options.backends.len().max(1);
        let by_turns = options.backends.iter().cycle().skip(turn).take(options.backends.len());
        for &backend in by_turns {
            let result = match collection.build(builder, &mut request, backend, round) {
                Err(CompareError::Build(error)) if !matches!(error, BuildError::Interrupted) => {
                    RoundResult::Failed(describe_failure(&error))
                }
                other => RoundResult::Built(Box::new(other?)),
            };
            collection.rounds.push(Round { backend, round, result });
        }
    }
    let registered = collection.compare_with_store(builder, &outputs)?;
    let mut walks = Vec::new();
    for &backend in &options.backends {
        match probe(builder, &mut request, backend) {
            Ok(seen) => walks.push((backend, seen)),
            // The rounds have told of it.
            Err(CompareError::Build(BuildError::Backend(_))) => {}
            Err(CompareError::Walk(WalkError::View {
                source: SessionError::Backend(_) | SessionError::Jail(_) | SessionError::Execute { .. },
                ..
            })) => {}
            Err(CompareError::Walk(WalkError::Walk { .. })) if collection.has_failed(backend) => {}
            Err(error) => return Err(error),
        }
    }
    let plan = builder.dry_plan(path, derivation)?;
    let probe = (!walks.is_empty()).then(|| WalkComparison::compare(&plan.view, walks));
    Ok(collection.into_comparison(path, registered, probe))
}

/// What is built, whose inputs have to be there.
pub(crate) fn prepare<'a>(
    builder: &Builder,
    path: &'a StorePath,
    derivation: &'a Derivation<'a>,
) -> Result<BuildRequest<'a>, CompareError> {
    derivation.check_buildable(builder.store.directory()).map_err(BuildError::from)?;
    let inputs = builder.inputs(derivation)?;
    let missing = builder.store.invalid(&inputs).map_err(BuildError::from)?;
    if let Some(first) = missing.first() {
        let first = builder.store.locate(first);
        return Err(CompareError::Inputs { derivation: path.clone(), count: missing.len(), first });
    }
    let mut needed = inputs.clone();
    needed.insert(path.clone());
    builder.store.hold(&needed, &BTreeSet::new()).map_err(BuildError::from)?;
    Ok(BuildRequest { purpose: Purpose::Check, ..builder.request(path, derivation, inputs)? })
}

/// What was built so far.
struct Collection {
    rounds: Vec<Round>,
    differences: Vec<OutputDifference>,
    first: Option<FirstOutputs>,
    /// Hashes that have been compared already: by backend and output.
    compared: BTreeSet<(BackendKind, String, String)>,
    /// Where the first outputs are kept.
    first_outputs: FirstOutputsDir,
}

/// The first outputs.
struct FirstOutputs {
    backend: BackendKind,
    nar_hashes: BTreeMap<String, String>,
}

impl Collection {
    fn new(builder: &Builder, path: &StorePath) -> Result<Collection, CompareError> {
        let first_outputs = FirstOutputsDir::make(builder, path)?;
        let compared = BTreeSet::new();
        Ok(Collection { rounds: Vec::new(), differences: Vec::new(), first: None, compared, first_outputs })
    }

    fn build(
        &mut self,
        builder: &Builder,
        request: &mut BuildRequest<'_>,
        backend: BackendKind,
        round: u32,
    ) -> Result<BuiltRound, CompareError> {
        let run = run_builder(builder, request, &*backend.backend())?;
        let copies = run.copies.as_deref();
        let made = StagedOutputs::inspect(&run.plan, &builder.store, &request.unwanted, copies);
        let made = made.map_err(BuildError::from)?;
        let hash = |(name, info): (&String, &crate::store::PathInfo)| (name.clone(), info.nar_hash.clone());
        let nar_hashes: BTreeMap<String, String> = made.infos().iter().map(hash).collect();
        let BuildRun { plan, ended: SessionOutcome { times, usage, .. }, .. } = &run;
        let now = |name: &str| {
            let output = plan.outputs.iter().find(|output| output.name == name);
            output.map(|output| output.path.within(made.directory()))
        };
        match &self.first {
            None => {
                for name in nar_hashes.keys() {
                    let Some(from) = now(name) else { continue };
                    let failed = |source| CompareError::CompareOutput { path: from.clone(), source };
                    std::fs::rename(&from, self.first_outputs.output(name)).map_err(failed)?;
                }
                self.first = Some(FirstOutputs { backend, nar_hashes: nar_hashes.clone() });
            }
            Some(first) => {
                let others =
                    nar_hashes.iter().filter(|(name, hash)| first.nar_hashes.get(*name) != Some(hash));
                for (name, hash) in others {
                    let Some(now) = now(name) else { continue };
                    if self.compared.insert((backend, name.clone(), hash.clone())) {
                        self.differences.push(OutputDifference {
                            output: name.clone(),
                            first: first.backend,
                            other: Some((backend, round)),
                            differences: compare(&self.first_outputs.output(name), &now)?,
                        });
                    }
                }
            }
        }
        Ok(BuiltRound { seconds: times.seconds(), spent: usage.clone(), nar_hashes })
    }

    fn has_failed(&self, backend: BackendKind) -> bool {
        self.rounds.iter().any(|round| round.backend == backend && round.failed())
    }

    /// The store's own outputs, where it has them.
    fn compare_with_store(
        &mut self,
        builder: &Builder,
        outputs: &[(String, StorePath)],
    ) -> Result<BTreeMap<String, String>, CompareError> {
        let there = outputs.iter().map(|(_, path)| path.clone()).collect();
        let invalid = builder.store.invalid(&there).map_err(BuildError::from)?;
        let valid = there.difference(&invalid).cloned().collect();
        let infos = builder.store.infos(&valid).map_err(BuildError::from)?;
        let mut registered = BTreeMap::new();
        for (name, path) in outputs {
            let Some(info) = infos.get(path) else { continue };
            registered.insert(name.clone(), info.nar_hash.clone());
            if let Some(first) = &self.first
                && first.nar_hashes.get(name) != Some(&info.nar_hash)
            {
                self.differences.push(OutputDifference {
                    output: name.clone(),
                    first: first.backend,
                    other: None,
                    differences: compare(&self.first_outputs.output(name), &builder.store.locate(path))?,
                });
            }
        }
        Ok(registered)
    }

    fn into_comparison(
        self,
        path: &StorePath,
        registered: BTreeMap<String, String>,
        probe: Option<WalkComparison>,
    ) -> Comparison {
        let Collection { rounds, differences: outputs, .. } = self;
        let verdict = verdict(&rounds, &registered);
        let explanation = explain(verdict, &rounds, probe.as_ref());
        Comparison { derivation: path.clone(), verdict, explanation, rounds, registered, outputs, probe }
    }
}

fn verdict(rounds: &[Round], registered: &BTreeMap<String, String>) -> ComparisonVerdict {
    let mut found: BTreeMap<BackendKind, BTreeSet<&BTreeMap<String, String>>> = BTreeMap::new();
    for Round { backend, result, .. } in rounds {
        match result {
            RoundResult::Failed(_) => return ComparisonVerdict::Failed,
            RoundResult::Built(built) => drop(found.entry(*backend).or_default().insert(&built.nar_hashes)),
        }
    }
    let all: BTreeSet<_> = found.values().flatten().collect();
    let once = rounds.iter().all(|round| round.round == 1);
    let like_registered = |hashes: &BTreeMap<String, String>| {
        hashes.iter().all(|(name, hash)| registered.get(name).is_none_or(|known| known == hash))
    };
    if found.values().any(|hashes| hashes.len() > 1) {
        ComparisonVerdict::NotDeterministic
    } else if all.len() > 1 {
        if once { ComparisonVerdict::Differs } else { ComparisonVerdict::DependsOnBackend }
    } else if all.iter().all(|hashes| like_registered(hashes)) {
        ComparisonVerdict::Same
    } else {
        ComparisonVerdict::DiffersFromStore
    }
}

fn explain(verdict: ComparisonVerdict, rounds: &[Round], probe: Option<&WalkComparison>) -> String {
    let seen = || {
        let differences = probe.map(|walks| walks.differences.as_slice()).unwrap_or_default();
        let list: Vec<String> = differences.iter().map(|difference| format!("\n  {difference}")).collect();
        if list.is_empty() {
            String::new()
        } else {
            format!("; a process in the view sees these differ:{}", list.concat())
        }
    };
    match verdict {
        ComparisonVerdict::Same => "the same in every backend and every round".into(),
        ComparisonVerdict::NotDeterministic => {
            "not deterministic: one and the same backend makes it differently from round to round".into()
        }
        ComparisonVerdict::DependsOnBackend => format!("it depends on the backend{}", seen()),
        ComparisonVerdict::Differs => {
            format!("it differs, and more rounds would tell whether that depends on the backend{}", seen())
        }
        ComparisonVerdict::DiffersFromStore => {
            "the same in every backend and every round, but not what the store has".into()
        }
        ComparisonVerdict::Failed => {
            let failed: BTreeSet<BackendKind> =
                rounds.iter().filter(|round| round.failed()).map(|round| round.backend).collect();
            let all: BTreeSet<BackendKind> = rounds.iter().map(|round| round.backend).collect();
            let names: Vec<String> = failed.iter().map(BackendKind::to_string).collect();
            match failed == all {
                true => "it cannot be built in any backend".into(),
                false => format!("it cannot be built in {}, and in others it can", names.join(" and ")),
            }
        }
    }
}

impl Round {
    fn failed(&self) -> bool {
        matches!(self.result, RoundResult::Failed(_))
    }
}

/// What a process sees that is where the builder would be.
fn probe(
    builder: &Builder,
    request: &mut BuildRequest<'_>,
    backend: BackendKind,
) -> Result<Vec<ObservedFile>, CompareError> {
    let user = builder.acquire_user(None)?;
    let place = BuildDirs::make(&builder.store, &builder.settings, &builder.state, request.path)?;
    request.hook_paths = builder.hook_paths(request.path, place.work_dir.mount_point())?;
    let plan = builder.plan(request, &user.as_user(), &place.scratch).map_err(BuildError::from)?;
    let mounts = [&plan.jail.proc, &plan.jail.pts, &plan.jail.shm];
    let without: Vec<PathBuf> = mounts.into_iter().flatten().cloned().collect();
    let made = backend.backend();
    let session = plan
        .session(&*made, &place.work_dir, Privilege::Own(&builder.spawner), Conditions::none())
        .open()
        .map_err(BuildError::from)?;
    let walker = Walker { cancel: &builder.cancel, contents: false, without: &without };
    let walked = walker.walk(session, plan.jail.clone(), backend);
    kill_processes(&builder.spawner, &user)?;
    Ok(walked?.1)
}

fn compare(first: &Path, other: &Path) -> Result<output::Differences, CompareError> {
    output::compare_trees(first, other)
        .map_err(|source| CompareError::CompareOutput { path: other.into(), source })
}
