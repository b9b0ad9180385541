//! Reports that are kept in a directory beside the logs of builds, and compressed as those are if they are long.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::read::BzDecoder;
use bzip2::write::BzEncoder;

use super::BuildReport;
use crate::store::{Store, StoreError, log_path};
use crate::store_path::StorePath;

/// Up to this length a report is kept as it is, in bytes: to compress it would take longer than many a build's own part.
const SHORT: usize = 32 << 10;

/// A report is not kept, or what was kept cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// It cannot be written.
    #[error("cannot write {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The store does not say what it is about.
    #[error("cannot query the store")]
    Store(#[from] StoreError),
    /// It cannot be read.
    #[error("cannot read {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// It is something else.
    #[error("{path:?} is not a report of a build")]
    Form {
        /// The file.
        path: PathBuf,
        /// The underlying error.
        source: serde_json::Error,
    },
}

impl BuildReport {
    /// Keeps it, in place of the one of an earlier build of the same derivation, which nobody else builds meanwhile.
    ///
    /// # Errors
    /// It cannot be written. What was there is there still.
    pub fn keep(&self, store: &Store, derivation: &StorePath) -> Result<(), KeptError> {
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        let compressed = text.as_ref().is_ok_and(|text| text.len() > SHORT);
        let path = kept_at(store.logs(), derivation, compressed);
        let other = kept_at(store.logs(), derivation, !compressed);
        let written = text.and_then(|text| write(&path, &text, compressed)).and_then(|()| remove(&other));
        written.map_err(|source| KeptError::Write { path, source })
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
        for compressed in [false, true] {
            let path = kept_at(store.logs(), derivation, compressed);
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(KeptError::Read { path, source }),
                Ok(file) => file,
            };
            let text: Box<dyn Read> =
                if compressed { Box::new(BzDecoder::new(file)) } else { Box::new(file) };
            let report = serde_json::from_reader(BufReader::new(text));
            return report.map(Some).map_err(|source| KeptError::Form { path, source });
        }
        Ok(None)
    }
}

fn write(path: &Path, text: &[u8], compressed: bool) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    let new = path.with_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
    if compressed {
        let mut encoder = BzEncoder::new(file, Compression::fast());
        encoder.write_all(text)?;
        encoder.finish()?;
    } else {
        file.write_all(text)?;
    }
    fs::rename(&new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn kept_at(logs: &Path, derivation: &StorePath, compressed: bool) -> PathBuf {
    // In a directory of their own: those of the logs have what Nix expects there and nothing else.
    let log = log_path(&logs.join("loopbox"), derivation, false);
    let mut name = log.file_name().unwrap_or_default().to_owned();
    name.push(if compressed { ".report.json.bz2" } else { ".report.json" });
    log.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::Status;
    use super::*;

    /// A report that has about so many bytes.
    fn report(length: usize) -> BuildReport {
        serde_json::from_value(serde_json::json!({
            "derivation": "x".repeat(length), "status": "built", "undeclared": [], "undeclaredIncomplete": false,
            "missing": 0, "refused": { "paths": [], "incomplete": false }, "entries": [], "hostFiles": [],
            "hostFilesLeftOut": 0, "nfsCalls": BTreeMap::<String, u64>::new(), "unusedInputs": [], "deep": null,
            "seconds": { "setup": 0.0, "run": 0.0, "teardown": 0.0 },
        }))
        .unwrap()
    }

    #[test]
    fn the_last_report_of_a_derivation_is_the_only_one_and_comes_back() {
        let logs = tempfile::tempdir().unwrap();
        let store = Store::at("/nix/store".into(), "/nix/var/nix".into(), logs.path().into());
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        assert!(BuildReport::kept(&store, &derivation).unwrap().is_none());
        for length in [10, SHORT + 1, 20] {
            report(length).keep(&store, &derivation).unwrap();
            let kept = BuildReport::kept(&store, &derivation).unwrap().unwrap();
            assert_eq!((kept.derivation.as_os_str().len(), kept.status), (length, Status::Built));
            assert_eq!(fs::read_dir(logs.path().join("loopbox/drvs/86")).unwrap().count(), 1);
        }
    }
}
