//! Why the store did not answer.

use std::io;
use std::path::PathBuf;

use super::{CommandError, DatabaseError, InfoError, KeyError, RootsError, SettingsError};
use crate::derivation::ParseError;
use crate::store_path::{StorePath, StorePathError};

/// Why the store did not answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A program of Nix failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Nix's database could not be read or written.
    #[error("cannot use the database of Nix's store")]
    Database(#[source] Box<DatabaseError>),
    /// What is registered could not be signed.
    #[error("cannot sign")]
    Key(#[from] KeyError),
    /// A program of Nix printed something that is not a store path.
    #[error("'{program}' printed something that is not a store path")]
    Answer {
        /// The program.
        program: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// A program of Nix printed something else than path infos.
    #[error("cannot read the path infos that 'nix-store --dump-db' printed")]
    Info(#[from] InfoError),
    /// A program of Nix printed something else than the JSON that was asked for.
    #[error("cannot read the JSON that '{program}' printed")]
    Json {
        /// The program.
        program: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A Nix file does not evaluate to derivations.
    #[error("cannot evaluate {file:?}")]
    Evaluate {
        /// The file.
        file: PathBuf,
        /// The underlying error.
        source: CommandError,
    },
    /// Nix's settings could not be read.
    #[error("cannot read Nix's settings")]
    Settings(#[from] SettingsError),
    /// The paths could not be protected from the garbage collector.
    #[error("cannot protect store paths from the garbage collector")]
    Roots(#[from] RootsError),
    /// Paths that are needed are not valid.
    #[error("not valid in the store: {}", first_few(.paths))]
    NotValid {
        /// The paths.
        paths: Vec<StorePath>,
    },
    /// A file that should be a derivation cannot be read.
    #[error("cannot read the derivation {path:?}")]
    ReadDerivation {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// A file that should be a derivation is not one.
    #[error("{path:?} is not a derivation that can be used")]
    ParseDerivation {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: ParseError,
    },
}

impl From<DatabaseError> for StoreError {
    fn from(error: DatabaseError) -> StoreError {
        StoreError::Database(Box::new(error))
    }
}

fn first_few(paths: &[StorePath]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = paths.iter().take(SHOWN).map(StorePath::base).collect();
    match paths.len().saturating_sub(SHOWN) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}
