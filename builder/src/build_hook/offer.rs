//! What Nix offers, and whether loopbox builds it.

use crate::derivation::{Attributes, Derivation, KindError};
use crate::plan::{PlanError, check_system};
use crate::store::{Settings, Store, StoreError};
use crate::store_path::{StorePath, StorePathError};

/// A derivation that Nix has to build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The system that it is for.
    pub system: String,
    /// Its path.
    pub path: String,
    /// The features that it requires of a system.
    pub features: Vec<String>,
}

/// Why a derivation is left to Nix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Declined {
    /// Its path is none.
    #[error("it is not a store path")]
    Path(#[from] StorePathError),
    /// It cannot be read.
    #[error("it cannot be read")]
    Store(#[from] StoreError),
    /// It cannot be built in a view.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

impl Declined {
    /// Whether nobody expects otherwise: it is for another machine, or is something that Nix does without a builder.
    #[must_use]
    pub fn is_usual(&self) -> bool {
        matches!(self, Declined::Plan(PlanError::System { .. } | PlanError::Kind(KindError::Builtin { .. })))
    }
}

impl Offer {
    /// The derivation, if loopbox builds it.
    ///
    /// # Errors
    /// Why it does not.
    pub fn derivation(
        &self,
        store: &Store,
        settings: &Settings,
    ) -> Result<(StorePath, Derivation<'static>), Declined> {
        let path = StorePath::parse(&self.path, store.directory())?;
        let derivation = store.derivation(&path)?;
        derivation.check_buildable(store.directory()).map_err(PlanError::from)?;
        let attributes = Attributes::of(&derivation).map_err(PlanError::from)?;
        check_system(&derivation, &attributes, settings, || store.locate(&path))?;
        Ok((path, derivation))
    }
}
