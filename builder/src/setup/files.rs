//! Files that are written so that each can be restored as it was.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a file that was there before is called meanwhile, behind its name.
const BEFORE: &str = ".before-loopbox";

/// What is made is for everybody to read, and to run if it is a program.
const READ: u32 = 0o644;
const RUN: u32 = 0o755;

/// A file with what is to be in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct File {
    /// Its path.
    pub path: PathBuf,
    /// What is to be in it.
    pub contents: String,
    /// Whether it is a program.
    pub executable: bool,
}

impl File {
    /// One that is read.
    #[must_use]
    pub fn new(path: PathBuf, contents: String) -> File {
        File { path, contents, executable: false }
    }
}

/// What was written, so that it can be undone.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    files: Vec<Written>,
    /// Directories that were made for them, the outermost first.
    directories: Vec<PathBuf>,
    /// Units of systemd that are enabled once the files are there, and were not before.
    #[serde(default)]
    enabled: Vec<String>,
}

impl Record {
    fn read(path: &Path) -> Result<Record, FilesError> {
        let unreadable = |source| FilesError::Record { path: path.into(), source };
        let text = match fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FilesError::Nothing(path.into()));
            }
            text => text.map_err(unreadable)?,
        };
        serde_json::from_slice(&text).map_err(|error| unreadable(error.into()))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: PathBuf,
    /// What it was called before.
    before: Option<PathBuf>,
    /// SHA-256 of what was written, in hexadecimal digits.
    sha256: String,
}

/// Files could not be written or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FilesError {
    /// One cannot be written.
    #[error("cannot write {path:?}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// One cannot be restored.
    #[error("cannot restore {path:?}")]
    Restore {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// The record of what was written is not one.
    #[error("cannot read {path:?}, the record of what was written")]
    Record {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: io::Error,
    },
    /// Somebody has changed a file since.
    #[error("{path:?} was changed after it was written; what was there before is {before:?}")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its old version, if there was one.
        before: Option<PathBuf>,
    },
    /// Nothing was written.
    #[error("there is nothing to undo: {0:?} does not exist")]
    Nothing(PathBuf),
}

/// Whether all of these are as they are to be.
#[must_use]
pub fn are_written(files: &[File]) -> bool {
    files.iter().all(|file| fs::read(&file.path).is_ok_and(|now| now == file.contents.as_bytes()))
}

/// The units that were to be enabled, of all calls of [`write()`].
///
/// # Errors
/// Nothing was written, or its record cannot be read.
pub fn enabled(record: &Path) -> Result<Vec<String>, FilesError> {
    Record::read(record).map(|record| record.enabled)
}

/// Writes them, once it is recorded what is written, and which units are to be enabled then; the record is a file of its
/// own. What an earlier call has written is taken back before.
///
/// # Errors
/// The first that cannot be written; those before it are then taken back.
pub fn write(files: &[File], enabled: &[&str], record: &Path) -> Result<(), FilesError> {
    let mut written = Record::default();
    if record.exists() {
        written.enabled = self::enabled(record)?;
        undo(record)?;
    }
    for unit in enabled.iter().map(|unit| (*unit).to_owned()) {
        if !written.enabled.contains(&unit) {
            written.enabled.push(unit);
        }
    }
    let places = files.iter().map(|file| file.path.as_path()).chain([record]);
    for directory in places.filter_map(Path::parent) {
        for missing in directory.ancestors().filter(|above| !above.exists()).collect::<Vec<_>>().iter().rev()
        {
            fs::create_dir(missing).map_err(cannot_write(missing))?;
            written.directories.push((*missing).into());
        }
    }
    for file in files {
        let before = beside(&file.path, BEFORE);
        written.files.push(Written {
            path: file.path.clone(),
            before: file.path.exists().then_some(before),
            sha256: digest(file.contents.as_bytes()),
        });
    }
    let text = serde_json::to_vec_pretty(&written).map_err(|error| cannot_write(record)(error.into()))?;
    replace(record, &text, READ).map_err(cannot_write(record))?;
    for (file, written) in files.iter().zip(&written.files) {
        if let Err(error) = write_one(file, written) {
            // What can be taken back is, and the first error is what is told.
            let _ = undo(record);
            return Err(cannot_write(&file.path)(error));
        }
    }
    Ok(())
}

/// Takes back what was written: each file is what it was before, to its inode.
///
/// # Errors
/// [`FilesError::Changed`] before anything is taken back; or the first that cannot be restored.
pub fn undo(record: &Path) -> Result<(), FilesError> {
    let written = Record::read(record)?;
    // One of which the old version is not put aside was not written.
    let done = |file: &&Written| file.before.as_ref().is_none_or(|before| before.exists());
    for file in written.files.iter().filter(done) {
        let changed = fs::read(&file.path).is_ok_and(|now| digest(&now) != file.sha256);
        if changed {
            return Err(FilesError::Changed { path: file.path.clone(), before: file.before.clone() });
        }
    }
    for file in written.files.iter().rev().filter(done) {
        let restored = match &file.before {
            Some(before) => fs::rename(before, &file.path),
            None => remove(&file.path),
        };
        restored.map_err(|source| FilesError::Restore { path: file.path.clone(), source })?;
    }
    remove(record).map_err(|source| FilesError::Restore { path: record.into(), source })?;
    for directory in written.directories.iter().rev() {
        // Somebody else may have put something there.
        let _ = fs::remove_dir(directory);
    }
    Ok(())
}

/// The old version keeps its inode, under another name.
fn write_one(file: &File, written: &Written) -> io::Result<()> {
    if let Some(before) = &written.before {
        fs::hard_link(&file.path, before)?;
    }
    replace(&file.path, file.contents.as_bytes(), if file.executable { RUN } else { READ })
}

/// Puts a new file in the place of what is there, with the same mode and owner; where nothing is, it gets this mode.
fn replace(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path, ".new");
    remove(&new)?;
    let mut file = fs::File::options().write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(contents)?;
    if let Ok(old) = path.metadata() {
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
        chown(&new, Some(old.uid()), Some(old.gid()))?;
    }
    file.sync_all()?;
    fs::rename(&new, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn digest(contents: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(contents))
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> FilesError {
    move |source| FilesError::Write { path: path.into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(directory: &Path) -> Vec<(PathBuf, Vec<u8>, u64, u32)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let metadata = entry.metadata().unwrap();
            if metadata.is_file() {
                let contents = fs::read(entry.path()).unwrap();
                found.push((entry.path(), contents, metadata.ino(), metadata.mode()));
            }
        }
        found.sort();
        found
    }

    fn files(directory: &Path, contents: &str) -> Vec<File> {
        ["old", "new", "made/new"].map(|name| File::new(directory.join(name), contents.into())).into()
    }

    #[test]
    fn what_is_taken_back_is_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let (at, record) = (directory.path(), directory.path().join("made/record.json"));
        fs::write(at.join("old"), "old").unwrap();
        fs::set_permissions(at.join("old"), fs::Permissions::from_mode(0o640)).unwrap();
        let before = all(at);
        write(&files(at, "one"), &[], &record).unwrap();
        assert!(are_written(&files(at, "one")));
        assert_eq!(at.join("old").metadata().unwrap().mode() & 0o777, 0o640);
        // Again, and with something else.
        write(&files(at, "two"), &["a.socket"], &record).unwrap();
        assert!(are_written(&files(at, "two")) && !are_written(&files(at, "one")));
        // By then the unit is enabled, and it was this that enabled it.
        write(&files(at, "two"), &[], &record).unwrap();
        assert_eq!(enabled(&record).unwrap(), ["a.socket"]);
        undo(&record).unwrap();
        assert_eq!(all(at), before);
        assert!(!at.join("made").exists());
        assert!(matches!(undo(&record), Err(FilesError::Nothing(_))));
    }

    #[test]
    fn what_somebody_has_changed_since_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let (at, record) = (directory.path(), directory.path().join("record.json"));
        fs::write(at.join("old"), "old").unwrap();
        write(&files(at, "one"), &[], &record).unwrap();
        fs::write(at.join("old"), "changed").unwrap();
        let error = undo(&record).unwrap_err();
        assert!(matches!(error, FilesError::Changed { before: Some(_), .. }), "{error}");
        assert_eq!(fs::read(at.join("old")).unwrap(), b"changed");
        assert_eq!(fs::read(at.join("new")).unwrap(), b"one");
    }

    #[test]
    fn what_cannot_be_written_leaves_the_others_as_they_were() {
        let directory = tempfile::tempdir().unwrap();
        let (at, record) = (directory.path(), directory.path().join("record.json"));
        fs::write(at.join("old"), "old").unwrap();
        fs::create_dir_all(at.join("new")).unwrap();
        let before = all(at);
        let error = write(&files(at, "one"), &[], &record).unwrap_err();
        assert!(error.to_string().contains("new"), "{error}");
        assert_eq!(all(at), before);
    }
}
