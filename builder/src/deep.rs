//! Building where hidden directories can be walked, to see what is looked for there.

use std::collections::{BTreeMap, BTreeSet};

use sandbox::report::NotShown;

use crate::build::{BuildError, BuildRequest, Builder, Purpose};
use crate::build_run::{BuildRun, run_builder};
use crate::output::StagedOutputs;
use crate::report::{DeepOutcome, DeepReport};
use crate::store::PathInfo;

/// A build in whose view hidden directories could be walked. What it made is thrown away.
pub(crate) struct DeepRun {
    not_shown: NotShown,
    made: Result<BTreeMap<String, PathInfo>, String>,
}

impl DeepRun {
    /// Runs it.
    pub fn make(builder: &Builder, request: &BuildRequest<'_>) -> Result<DeepRun, BuildError> {
        // All outputs are made, though perhaps not all are wanted: they are not taken.
        let (purpose, unwanted) = (Purpose::Check, BTreeSet::new());
        let mut request = BuildRequest { purpose, unwanted, phantom: true, ..request.clone() };
        match run_builder(builder, &mut request, &*builder.backend) {
            Ok(BuildRun { plan, access, copies, place: _place, .. }) => {
                let made =
                    StagedOutputs::inspect(&plan, &builder.store, &request.unwanted, copies.as_deref());
                let made = made.map(|made| made.infos().clone()).map_err(|error| error.to_string());
                Ok(DeepRun { not_shown: access.not_shown, made })
            }
            Err(BuildError::Builder(failure)) => {
                let not_shown = failure.report.access.not_shown.clone();
                Ok(DeepRun { not_shown, made: Err(BuildError::Builder(failure).to_string()) })
            }
            Err(error) => Err(error),
        }
    }

    /// Beside the build itself, which made these outputs, or failed.
    pub fn beside(self, built: Option<&BTreeMap<String, PathInfo>>) -> DeepReport {
        let outcome = match (self.made, built) {
            (Ok(made), Some(built)) => DeepOutcome::of(&made, built),
            (Err(error), Some(_)) => DeepOutcome::Failed { error },
            (Ok(_), None) => DeepOutcome::Succeeded,
            (Err(_), None) => DeepOutcome::Same,
        };
        DeepReport { not_shown: self.not_shown, outcome }
    }
}
