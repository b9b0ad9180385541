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
    /// The line that is all that is new in it: the rest is somebody else's.
    pub line: Option<String>,
}

impl File {
    /// One that is read.
    #[must_use]
    pub fn new(path: PathBuf, contents: String) -> File {
        File { path, contents, executable: false, line: None }
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
    /// The line that was added, if that is all.
    #[serde(default)]
    line: Option<String>,
}

impl Written {
    /// Whether it was written: its old version is put aside before.
    fn is_done(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.exists())
    }

    /// Whether the old version, which is put aside, is still in its place as well.
    fn is_old(&self) -> bool {
        let inode =
            |path: &Path| path.symlink_metadata().map(|metadata| (metadata.dev(), metadata.ino())).ok();
        self.before.as_ref().is_some_and(|before| inode(before) == inode(&self.path))
    }

    /// Whether somebody has written something else since.
    fn is_changed(&self) -> bool {
        !self.is_old() && fs::read(&self.path).is_ok_and(|now| digest(&now) != self.sha256)
    }

    /// Whether what others have written in it can stay.
    fn can_be_taken_out(&self) -> bool {
        self.line.is_some() && !self.path.is_symlink()
    }

    /// The file is what it was before; one that was changed has a line less.
    fn restore(&self) -> io::Result<()> {
        let before = self.before.as_deref();
        match &self.line {
            Some(line) if self.is_changed() => take_out(&self.path, line)?,
            // Renaming one name of a file to another does nothing (rename(2)).
            _ if self.is_old() => {}
            _ => return before.map_or_else(|| remove(&self.path), |before| fs::rename(before, &self.path)),
        }
        before.map_or(Ok(()), remove)
    }
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
            line: file.line.clone(),
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

/// Takes back what was written: each file is what it was before, to its inode. Of one that somebody has changed since, the line
/// that was added is taken out; these are returned.
///
/// # Errors
/// [`FilesError::Changed`] before anything is taken back; or the first that cannot be restored.
pub fn undo(record: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let written = Record::read(record)?;
    let done: Vec<&Written> = written.files.iter().filter(|file| file.is_done()).collect();
    let changed: Vec<&Written> = done.iter().copied().filter(|file| file.is_changed()).collect();
    if let Some(file) = changed.iter().find(|file| !file.can_be_taken_out()) {
        return Err(FilesError::Changed { path: file.path.clone(), before: file.before.clone() });
    }
    for file in done.iter().rev() {
        file.restore().map_err(|source| FilesError::Restore { path: file.path.clone(), source })?;
    }
    remove(record).map_err(|source| FilesError::Restore { path: record.into(), source })?;
    for directory in written.directories.iter().rev() {
        // Somebody else may have put something there.
        let _ = fs::remove_dir(directory);
    }
    Ok(changed.into_iter().map(|file| file.path.clone()).collect())
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

/// Writes a file without a line.
fn take_out(path: &Path, line: &str) -> io::Result<()> {
    let contents = fs::read_to_string(path)?;
    let without: String = contents.split_inclusive('\n').filter(|there| there.trim() != line).collect();
    replace(path, without.as_bytes(), READ)
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
    fn of_what_somebody_has_changed_since_the_added_line_is_taken_out() {
        let directory = tempfile::tempdir().unwrap();
        let (at, record) = (directory.path(), directory.path().join("record.json"));
        let (old, new) = (at.join("old"), at.join("new"));
        let line = |path: &Path, before: &str| File {
            line: Some("ours".into()),
            ..File::new(path.into(), format!("{before}ours\n"))
        };
        fs::write(&old, "theirs\n").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o600)).unwrap();
        write(&[line(&old, "theirs\n"), line(&new, "")], &[], &record).unwrap();
        fs::write(&old, "theirs\nours\nmore").unwrap();
        // It is written again once more is to be written.
        write(&[line(&old, "theirs\n"), line(&new, "")], &[], &record).unwrap();
        fs::write(&old, "theirs\nours\nmore").unwrap();
        assert_eq!(undo(&record).unwrap(), std::slice::from_ref(&old));
        assert_eq!(fs::read_to_string(&old).unwrap(), "theirs\nmore");
        assert_eq!(
            all(at),
            [(old.clone(), b"theirs\nmore".into(), fs::metadata(&old).unwrap().ino(), 0o100_600)]
        );
        // Another program's file is not ours to write.
        write(&[line(&new, "")], &[], &record).unwrap();
        fs::rename(&new, at.join("elsewhere")).unwrap();
        fs::write(at.join("elsewhere"), "ours\nmore\n").unwrap();
        std::os::unix::fs::symlink("elsewhere", &new).unwrap();
        assert!(matches!(undo(&record), Err(FilesError::Changed { before: None, .. })));
    }

    #[test]
    fn a_file_that_was_put_aside_and_not_written_is_what_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let (at, record) = (directory.path(), directory.path().join("record.json"));
        fs::write(at.join("old"), "old").unwrap();
        let before = all(at);
        // Its new version has no place.
        fs::create_dir_all(at.join("old.new/in-the-way")).unwrap();
        let error = write(&files(at, "one")[..1], &[], &record).unwrap_err();
        assert!(matches!(error, FilesError::Write { .. }), "{error}");
        assert_eq!(all(at), before);
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
