//! What keeps store paths from the garbage collector: this process itself, or Nix's daemon for whoever cannot write Nix's state.

use std::io;
use std::path::{Path, PathBuf};

use super::command::Programs;
use super::served_roots::ServedRoots;
use super::temp_roots::{RootsError, TempRoots};

/// Temporary roots, which end when this is dropped, or this process dies.
#[derive(Debug)]
pub(super) enum Roots {
    /// In a file of this process'.
    Own(TempRoots),
    /// In a file of Nix's daemon, for a connection that stays open.
    Served(ServedRoots),
}

impl Roots {
    /// Writes them itself where it may.
    ///
    /// # Errors
    /// Neither this process nor Nix's daemon can.
    pub fn create(state: &Path, programs: &Programs) -> Result<Roots, RootsError> {
        match TempRoots::create(state) {
            Err(RootsError::Lock { source, .. }) if is_refusal(&source) => {
                ServedRoots::begin(programs).map(Roots::Served).map_err(RootsError::Served)
            }
            own => own.map(Roots::Own),
        }
    }

    /// Adds paths; waits while a collection is running.
    ///
    /// # Errors
    /// They cannot be written, or Nix does not answer.
    pub fn add(&self, paths: impl Iterator<Item = PathBuf>) -> Result<(), RootsError> {
        match self {
            Roots::Own(own) => own.add(paths),
            Roots::Served(served) => served.add(paths).map_err(RootsError::Served),
        }
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}
