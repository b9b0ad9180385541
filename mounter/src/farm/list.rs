//! What a farm has put where, in a file that outlives it: a line for each name, for each directory that it made, and for each
//! that it has been lent.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::sys::stat;
use serde::{Deserialize, Serialize};

use super::lent::Lent;
use super::{DIRECTORY, FarmError, failed};
use crate::{Identity, tree};

/// The list. Dropping it takes apart what is on it.
#[derive(Debug)]
pub(super) struct List {
    path: PathBuf,
    file: File,
    /// What is to be undone, the last one first.
    steps: Vec<Step>,
    made: HashSet<Identity>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    /// A name that is about to be made.
    Name(PathBuf),
    /// A directory that was made.
    Made(Identity),
    /// A directory that is about to be moved to where the farm has it.
    Lent(Lent),
}

#[derive(Debug)]
enum Step {
    Name(PathBuf),
    Lent(Lent),
}

impl List {
    pub fn begin(path: &Path) -> Result<List, FarmError> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|source| FarmError::List { path: path.into(), source })?;
        Ok(List { path: path.into(), file, steps: Vec::new(), made: HashSet::new() })
    }

    /// The list of a farm that was killed; `None` if there is none. Its last line may be half a line: what it was
    /// about to say had not been done yet, or is an empty directory.
    pub fn read(path: &Path) -> Result<Option<List>, FarmError> {
        let unreadable = |source| FarmError::List { path: path.into(), source };
        let file = match OpenOptions::new().read(true).append(true).custom_flags(libc::O_NOFOLLOW).open(path)
        {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        let (mut steps, mut made) = (Vec::new(), HashSet::new());
        let mut lines = BufReader::new(file.try_clone().map_err(unreadable)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).map_err(unreadable)? > 0 {
            match serde_json::from_slice(&line) {
                Ok(Line::Name(name)) => steps.push(Step::Name(name)),
                Ok(Line::Lent(lent)) => steps.push(Step::Lent(lent)),
                Ok(Line::Made(identity)) => drop(made.insert(identity)),
                Err(_) if !line.ends_with(b"\n") => {}
                Err(error) => return Err(unreadable(error.into())),
            }
            line.clear();
        }
        Ok(Some(List { path: path.into(), file, steps, made }))
    }

    /// Notes a name that is about to be made. What has this name already is nobody's to remove.
    pub fn put(&mut self, name: &Path) -> Result<(), FarmError> {
        must_be_free(name)?;
        self.write(&Line::Name(name.into()))?;
        self.steps.push(Step::Name(name.into()));
        Ok(())
    }

    /// Notes a directory, and moves it to where the farm has it.
    pub fn borrow(&mut self, lent: Lent) -> Result<(), FarmError> {
        must_be_free(&lent.to)?;
        self.write(&Line::Lent(lent.clone()))?;
        let moved = lent.fetch();
        self.steps.push(Step::Lent(lent));
        moved
    }

    pub fn made(&mut self, identity: Identity) -> Result<(), FarmError> {
        self.write(&Line::Made(identity))?;
        self.made.insert(identity);
        Ok(())
    }

    pub fn has_made(&self, identity: Identity) -> bool {
        self.made.contains(&identity)
    }

    /// Removes every name on the list and gives back what was lent, the last one first, and then removes the list.
    pub fn remove_farm(mut self) -> Result<(), FarmError> {
        self.undo()
    }

    fn undo(&mut self) -> Result<(), FarmError> {
        while let Some(step) = self.steps.last() {
            match step {
                Step::Name(path) => self.remove(path)?,
                Step::Lent(lent) => lent.give_back()?,
            }
            self.steps.pop();
        }
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(FarmError::List { path: self.path.clone(), source: error })
            }
            _ => Ok(()),
        }
    }

    fn remove(&self, path: &Path) -> Result<(), FarmError> {
        let (holder, name) = path.parent().zip(path.file_name()).unwrap_or((path, ".".as_ref()));
        match nix::fcntl::open(holder, DIRECTORY, stat::Mode::empty()) {
            Ok(opened) => {
                let made = |directory: BorrowedFd<'_>| Ok(self.has_made(Identity::of(directory)?));
                tree::remove_if(opened, holder, name, &made)?;
                Ok(())
            }
            // It was in a directory that is gone as a whole.
            Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(errno) => Err(failed("open the directory of", path, errno.into())),
        }
    }

    /// One call for a line, so that it is in the file when a kill comes.
    fn write(&mut self, line: &Line) -> Result<(), FarmError> {
        let written = serde_json::to_vec(line).map_err(io::Error::from).and_then(|mut text| {
            text.push(b'\n');
            self.file.write_all(&text)
        });
        written.map_err(|source| FarmError::List { path: self.path.clone(), source })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if let Err(error) = self.undo() {
            // The list stays, and a later sweep tries again.
            tracing::warn!(error = &error as &dyn std::error::Error, "cannot take a farm of links apart");
        }
    }
}

fn must_be_free(name: &Path) -> Result<(), FarmError> {
    if name.symlink_metadata().is_ok() { Err(FarmError::Foreign { path: name.into() }) } else { Ok(()) }
}
