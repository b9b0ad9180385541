//! What is written down of outputs that are taken.

use super::{OutputError, StagedOutputs};
use crate::plan::PlannedOutput;
use crate::store::Registration;

impl StagedOutputs<'_> {
    /// As outputs that were built here and are what they have to be.
    pub(super) fn registrations(&self) -> Vec<Registration> {
        let of = |output: &&PlannedOutput| {
            let info = self.infos.get(&output.name)?.clone();
            Some(Registration::of_output(info, output.fixed.as_ref()))
        };
        self.wanted.iter().filter_map(of).collect()
    }

    /// Notes that those of the store, which are the same, can be built here.
    ///
    /// # Errors
    /// When the store's database cannot be written.
    pub fn trust(&self) -> Result<(), OutputError> {
        let paths = self.wanted.iter().map(|output| output.path.clone()).collect();
        self.store.trust(&paths).map_err(OutputError::Register)
    }
}
