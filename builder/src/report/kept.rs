//! Reports that are kept beside the logs of their builds, compressed as those are.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;

use super::BuildReport;
use crate::store::{Store, StoreError, log_path};
use crate::store_path::StorePath;

/// A report is not kept, or what was kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be written.
    #[error("cannot write {path:?}")]
    Write {
        /// Where.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The store does not say what it is about.
    #[error("cannot ask the store")]
    Store(#[from] StoreError),
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path:?} is no report of a build")]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl BuildReport {
    /// Keeps it, in place of the one of an earlier build of the same derivation, which nobody else builds meanwhile.
    ///
    /// # Errors
    /// It cannot be written. What was there is there still.
    pub fn keep(&self, store: &Store, derivation: &StorePath) -> Result<(), KeptError> {
        let path = kept_at(store.logs(), derivation);
        self.write(&path).map_err(|source| KeptError::Write { path, source })
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        let new = path.with_extension("new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        let mut encoder = BzEncoder::new(BufWriter::new(file), Compression::fast());
        serde_json::to_writer(&mut encoder, self)?;
        encoder.finish()?.flush()?;
        fs::rename(&new, path)
    }

    /// The one of the last build of a derivation, or of an output, if there was one here.
    ///
    /// # Errors
    /// The store does not answer, or what is kept cannot be read.
    pub fn of_last_build(store: &Store, of: &StorePath) -> Result<Option<BuildReport>, KeptError> {
        let deriver = || {
            Ok::<_, StoreError>(
                store.infos(&[of.clone()].into())?.into_values().find_map(|info| info.deriver),
            )
        };
        let derivation = if of.is_derivation() { Some(of.clone()) } else { deriver()? };
        let Some(derivation) = derivation else { return BuildReport::kept(store, of) };
        if let Some(report) = BuildReport::kept(store, &derivation)? {
            return Ok(Some(report));
        }
        // What Nix has built through loopbox is kept under the name of one of its outputs.
        let mut outputs = BTreeSet::from([of.clone()]);
        if let Ok(derivation) = store.derivation(&derivation) {
            outputs.extend(
                derivation.output_paths(store.directory()).into_iter().flatten().map(|(_, path)| path),
            );
        }
        for output in outputs {
            if let Some(mut report) = BuildReport::kept(store, &output)? {
                report.derivation = store.locate(&derivation);
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// The one that was kept under this name, if there is one.
    ///
    /// # Errors
    /// It cannot be read.
    fn kept(store: &Store, derivation: &StorePath) -> Result<Option<BuildReport>, KeptError> {
        let path = kept_at(store.logs(), derivation);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeptError::Read { path, source }),
            Ok(file) => file,
        };
        let report = serde_json::from_reader(BufReader::new(BzDecoder::new(file)));
        report.map(Some).map_err(|source| KeptError::Form { path, source })
    }
}

fn kept_at(logs: &Path, derivation: &StorePath) -> PathBuf {
    let log = log_path(logs, derivation, false);
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(".report.json.bz2");
    log.with_file_name(name)
}
