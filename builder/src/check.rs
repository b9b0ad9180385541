//! A derivation built again in a varied environment, to find out what its outputs depend on. Nothing is registered.

mod diffoscope;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diffoscope::Diffoscope;
use sandbox::causes;
use serde::Serialize;

use crate::build::{BuildError, BuildRequest, Builder};
use crate::build_run::{BuildRun, run_builder};
use crate::compare::CompareError;
use crate::compare::build::prepare;
use crate::compare::first_outputs::{FirstOutputsDir, describe_failure};
use crate::derivation::Derivation;
use crate::output::{self, Differences, StagedOutputs};
use crate::store_path::StorePath;
use crate::variation::{Variation, VariationSet};

/// Between the starts of the first two builds, so that a clock of seconds says something else.
const APART: Duration = Duration::from_millis(1100);

/// What was found out about a derivation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// The derivation.
    pub derivation: StorePath,
    /// The result.
    pub verdict: CheckVerdict,
    /// What was otherwise.
    pub variations: Vec<Variation>,
    /// How often it was built.
    pub builds: u32,
    /// The builds that came out otherwise than the first.
    pub changes: Vec<Change>,
}

/// What a derivation's outputs depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckVerdict {
    /// On nothing that was otherwise.
    Same,
    /// On each of the variations that the changes name.
    Depends,
    /// On several variations together, and on none of them alone.
    DependsOnSeveral,
    /// On the clock or on chance: the same environment makes it otherwise.
    NotDeterministic,
    /// It cannot be built.
    Fails,
}

/// A build that came out otherwise than the first.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What was otherwise; nothing if it was built as the first was.
    pub variations: Vec<Variation>,
    /// How the outputs differ: `before` is the first build's.
    pub outputs: BTreeMap<String, Differences>,
    /// What diffoscope says of them, where it is installed and says something.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub diffoscope: BTreeMap<String, String>,
    /// Why one of the two failed, and the other did not.
    pub failed: Option<String>,
}

/// The hashes of the outputs of a build, or why it failed.
type BuildOutcome = Result<BTreeMap<String, String>, String>;

/// Builds a derivation as it is and with everything otherwise; if that makes a difference, with one thing after the other.
/// `begins` is told of each build.
///
/// # Errors
/// Why it could not be built at all. That the builder fails is an answer.
pub fn check(
    builder: &Builder,
    path: &StorePath,
    derivation: &Derivation<'_>,
    variations: &[Variation],
    begins: impl FnMut(&[Variation]),
) -> Result<Checked, CompareError> {
    let request = prepare(builder, path, derivation)?;
    let outputs = derivation.output_paths(builder.store.directory()).map_err(BuildError::from)?;
    let places: BTreeSet<PathBuf> = outputs.iter().map(|(_, path)| builder.store.locate(path)).collect();
    let _locks = builder.lock(&places)?;
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut checking = Checking {
        builder,
        request,
        first_outputs: FirstOutputsDir::make(builder, path)?,
        began: i64::try_from(since.as_secs()).unwrap_or_default(),
        first: None,
        builds: 0,
        changes: Vec::new(),
        diffoscope: Diffoscope::find(),
        begins,
    };
    let verdict = checking.run_check(variations)?;
    let Checking { builds, changes, .. } = checking;
    Ok(Checked { derivation: path.clone(), verdict, variations: variations.to_vec(), builds, changes })
}

struct Checking<'a, F> {
    builder: &'a Builder,
    request: BuildRequest<'a>,
    /// Where the first outputs are kept.
    first_outputs: FirstOutputsDir,
    /// When all builds seem to begin, as far as files tell.
    began: i64,
    first: Option<BuildOutcome>,
    builds: u32,
    changes: Vec<Change>,
    /// If it is there, and as long as it is of use.
    diffoscope: Option<Diffoscope>,
    begins: F,
}

impl<F: FnMut(&[Variation])> Checking<'_, F> {
    fn run_check(&mut self, variations: &[Variation]) -> Result<CheckVerdict, CompareError> {
        self.differs(&[])?;
        if let Some(Err(error)) = &self.first {
            self.changes.push(Change::failed(&[], error.clone()));
            return Ok(CheckVerdict::Fails);
        }
        thread::sleep(APART);
        let Some(all) = self.differs(variations)? else { return Ok(CheckVerdict::Same) };
        if let Some(again) = self.differs(&[])? {
            self.changes.push(again);
            return Ok(CheckVerdict::NotDeterministic);
        }
        if let [_] = variations {
            self.changes.push(all);
            return Ok(CheckVerdict::Depends);
        }
        for variation in variations {
            let change = self.differs(&[*variation])?;
            self.changes.extend(change);
        }
        if self.changes.is_empty() {
            self.changes.push(all);
            return Ok(CheckVerdict::DependsOnSeveral);
        }
        Ok(CheckVerdict::Depends)
    }

    /// Builds it with these things otherwise. The answer is how it came out, if not as the first.
    fn differs(&mut self, variations: &[Variation]) -> Result<Option<Change>, CompareError> {
        (self.begins)(variations);
        self.builds += 1;
        self.request.variations = VariationSet { list: variations.to_vec(), begins: Some(self.began) };
        let run = match run_builder(self.builder, &mut self.request, &*self.builder.backend) {
            Ok(run) => run,
            Err(BuildError::Interrupted) => return Err(CompareError::Interrupted),
            Err(error @ BuildError::Builder(_)) => {
                return Ok(self.failed(variations, describe_failure(&error)));
            }
            Err(error) => return Err(error.into()),
        };
        let BuildRun { plan, copies, .. } = &run;
        let made =
            StagedOutputs::inspect(plan, &self.builder.store, &self.request.unwanted, copies.as_deref());
        let made = match made {
            Ok(made) => made,
            Err(error) => return Ok(self.failed(variations, describe_failure(&error.into()))),
        };
        let hashes: BTreeMap<String, String> =
            made.infos().iter().map(|(name, info)| (name.clone(), info.nar_hash.clone())).collect();
        let places = plan.outputs.iter().map(|output| (&output.name, output.path.within(made.directory())));
        let failed = |path: &PathBuf, source| CompareError::CompareOutput { path: path.clone(), source };
        let Some(first) = &self.first else {
            for (name, place) in places {
                fs::rename(&place, self.first_outputs.output(name)).map_err(|error| failed(&place, error))?;
            }
            self.first = Some(Ok(hashes));
            return Ok(None);
        };
        let first = first.clone().unwrap_or_default();
        let mut change = Change { variations: variations.to_vec(), ..Change::default() };
        for (name, place) in places.filter(|(name, _)| first.get(*name) != hashes.get(*name)) {
            let compared = output::compare_trees(&self.first_outputs.output(name), &place);
            change.outputs.insert(name.clone(), compared.map_err(|error| failed(&place, error))?);
            let shown = self.run_diffoscope(name, &place).map_err(|error| failed(&place, error))?;
            change.diffoscope.extend(shown.map(|text| (name.clone(), text)));
        }
        Ok((!change.outputs.is_empty()).then_some(change))
    }

    /// What diffoscope says of an output that differs from the first.
    fn run_diffoscope(&mut self, name: &str, place: &Path) -> io::Result<Option<String>> {
        let Some(diffoscope) = &self.diffoscope else { return Ok(None) };
        let directory = self.first_outputs.directory();
        // No output has such a name.
        let again = format!("{name},again");
        fs::set_permissions(directory, Permissions::from_mode(0o711))?;
        fs::rename(place, directory.join(&again))?;
        let said = diffoscope.compare(directory, [name, &again], &self.builder.cancel);
        fs::rename(directory.join(&again), place)?;
        match said {
            Ok(text) => Ok(Some(text)),
            Err(error) => {
                tracing::warn!(
                    error = causes::in_a_line(&error),
                    "diffoscope does not show how outputs differ"
                );
                self.diffoscope = None;
                Ok(None)
            }
        }
    }

    fn failed(&mut self, variations: &[Variation], error: String) -> Option<Change> {
        if self.first.is_none() {
            self.first = Some(Err(error));
            return None;
        }
        Some(Change::failed(variations, error))
    }
}

impl Change {
    fn failed(variations: &[Variation], error: String) -> Change {
        Change { variations: variations.to_vec(), failed: Some(error), ..Change::default() }
    }
}
