//! The file in which `nix log` finds what a build wrote, compressed as Nix compresses it or as it came.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::write::BzEncoder;

use crate::store_path::StorePath;

/// Characters of a derivation's name that its directory is called by, so that none gets too many files.
const PREFIX: usize = 2;

/// A build's log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {path:?}")]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// A log that is being written. It is a convenience: that it cannot be written shows elsewhere too, when a disk is full.
pub struct BuildLog {
    to: To,
}

enum To {
    Plain(BufWriter<File>),
    Compressed(Box<BzEncoder<BufWriter<File>>>),
}

/// The place of a derivation's log in the directory of all logs.
#[must_use]
pub fn log_path(logs: &Path, derivation: &StorePath, compressed: bool) -> PathBuf {
    let (directory, name) = derivation.base().split_at(PREFIX);
    logs.join("drvs").join(directory).join(format!("{name}{}", if compressed { ".bz2" } else { "" }))
}

impl BuildLog {
    /// Makes a derivation's log anew, with the modes that Nix's own logs have.
    pub(super) fn create(
        logs: &Path,
        derivation: &StorePath,
        compressed: bool,
    ) -> Result<BuildLog, LogError> {
        let path = log_path(logs, derivation, compressed);
        let open = || {
            fs::create_dir_all(path.parent().unwrap_or(logs))?;
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&path)?;
            // Of an earlier build with another setting; there would be two to choose from.
            match fs::remove_file(log_path(logs, derivation, !compressed)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(BufWriter::new(file)),
            }
        };
        let file = open().map_err(|source| LogError { path: path.clone(), source })?;
        let to = if compressed {
            To::Compressed(Box::new(BzEncoder::new(file, Compression::best())))
        } else {
            To::Plain(file)
        };
        Ok(BuildLog { to })
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        let _ = match &mut self.to {
            To::Plain(file) => file.write_all(bytes).and_then(|()| file.flush()),
            To::Compressed(encoder) => encoder.write_all(bytes),
        };
    }

    /// Writes what has not been written yet.
    pub fn finish(self) {
        if let To::Compressed(encoder) = self.to {
            let _ = encoder.finish().and_then(|mut file| file.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_log_is_where_nix_looks_for_it_and_takes_the_place_of_an_older_one() {
        let logs = tempfile::tempdir().unwrap();
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        let plain = logs.path().join("drvs/86/vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv");
        let compressed = plain.with_extension("drv.bz2");
        let write = |compressed| {
            let mut log = BuildLog::create(logs.path(), &derivation, compressed).unwrap();
            log.write(b"words");
            log.finish();
        };
        write(false);
        assert_eq!(fs::read(&plain).unwrap(), b"words");
        write(true);
        assert!(!plain.exists());
        let mut text = String::new();
        bzip2::read::BzDecoder::new(File::open(&compressed).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "words");
        write(false);
        assert!(!compressed.exists() && plain.exists());
    }
}
