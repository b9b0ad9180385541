//! The file in which `nix log` finds what a build wrote.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

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

/// The place of a derivation's log in the directory of all logs.
#[must_use]
pub fn log_path(logs: &Path, derivation: &StorePath) -> PathBuf {
    let (directory, name) = derivation.base().split_at(PREFIX);
    logs.join("drvs").join(directory).join(name)
}

/// Makes a derivation's log anew, with the modes that Nix's own logs have.
pub(super) fn create(logs: &Path, derivation: &StorePath) -> Result<File, LogError> {
    let path = log_path(logs, derivation);
    let mut compressed = path.clone().into_os_string();
    compressed.push(".bz2");
    let open = || {
        fs::create_dir_all(path.parent().unwrap_or(logs))?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&path)?;
        // Of an earlier build by Nix; it would be the only one to be found once ours has been removed.
        match fs::remove_file(&compressed) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(file),
        }
    };
    open().map_err(|source| LogError { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_where_nix_looks_for_it_and_takes_the_place_of_an_older_one() {
        let logs = tempfile::tempdir().unwrap();
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        let path = logs.path().join("drvs/86/vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "old").unwrap();
        fs::write(path.with_extension("drv.bz2"), "older").unwrap();
        create(logs.path(), &derivation).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}
