//! Notes of what a run has mounted and made for a while, and their sweeping by a later run when it died.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

#[cfg(target_os = "linux")]
mod orphans;

use serde::{Deserialize, Serialize};

use crate::process::{self, Process};
use crate::{Source, farm, mount, options, tree};

/// The longest note that is read, in bytes: one names a handful of paths.
const NOTE_MAX: u64 = 1 << 16;

/// The directory that holds the notes of every run, readable by its owner only.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// What a run leaves behind if it dies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leftovers {
    /// A mount that everybody sees.
    pub mount: Option<PathBuf>,
    /// Directories that are only for this run, removed with everything in them.
    pub temporary: Vec<PathBuf>,
}

/// A note. Dropping it says that nothing is left but what could not be removed.
#[derive(Debug)]
pub struct Note {
    file: PathBuf,
    written: Written,
    /// Directories that could not be removed.
    left: Mutex<Vec<PathBuf>>,
}

/// What was found of one dead run.
#[derive(Debug, Serialize)]
pub struct Swept {
    /// The mount that was taken away.
    pub mount: Option<PathBuf>,
    /// The disk image that was detached.
    pub detached: Option<PathBuf>,
    /// The directories that were removed.
    pub removed: Vec<PathBuf>,
    /// What could not be removed, and why.
    pub left: Vec<(PathBuf, String)>,
}

/// Why notes cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The directory cannot be made.
    #[error("cannot make the state directory {path:?}")]
    Make {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could write notes into it, and have paths of his choice removed.
    #[error("the state directory {path:?} has to belong to root and be writable by nobody else")]
    NotOurs {
        /// The directory.
        path: PathBuf,
    },
    /// A note cannot be written.
    #[error("cannot write the note {path:?}")]
    Write {
        /// The note.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The notes cannot be listed.
    #[error("cannot read the state directory {path:?}")]
    Read {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    owner: Process,
    leftovers: Leftovers,
    /// What is served to a jail, as the kernel's table of mounts names it.
    #[serde(default)]
    device: Option<String>,
}

impl StateDir {
    /// Opens the directory; makes it if need be.
    ///
    /// # Errors
    /// If it cannot be made, or others could write there.
    pub fn open(path: &Path) -> Result<StateDir, StateError> {
        use std::os::unix::fs::{DirBuilderExt, MetadataExt};
        let make = |source| StateError::Make { path: path.into(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(make)?;
        let metadata = path.symlink_metadata().map_err(make)?;
        let ours = metadata.is_dir()
            && metadata.uid() == nix::unistd::geteuid().as_raw()
            && metadata.mode() & 0o022 == 0;
        if ours { Ok(StateDir { path: path.into() }) } else { Err(StateError::NotOurs { path: path.into() }) }
    }

    /// Writes down what this process would leave behind. Write it before the first of these things exists.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn note(&self, leftovers: Leftovers) -> Result<Note, StateError> {
        let written = Written { owner: Process::current(), leftovers, device: None };
        let note = Note::new(self.unused_name(), written);
        note.write(&note.written)?;
        Ok(note)
    }

    /// The living process that has noted a mount at this place.
    ///
    /// # Errors
    /// If the notes cannot be listed.
    pub fn owner_of(&self, mount: &Path) -> Result<Option<u32>, StateError> {
        let found = self.notes()?.into_iter().find(|(_, written)| {
            written.leftovers.mount.as_deref() == Some(mount) && written.owner.is_alive()
        });
        Ok(found.map(|(_, written)| written.owner.pid()))
    }

    /// Takes away what dead runs left.
    ///
    /// # Errors
    /// If the notes cannot be listed. What a single note names and cannot be removed is in its [`Swept`], and the
    /// note stays for the next sweep.
    pub fn sweep(&self) -> Result<Vec<Swept>, StateError> {
        self.remove_unfinished()?;
        let dead = self.notes()?.into_iter().filter(|(_, written)| !written.owner.is_alive());
        Ok(dead
            .map(|(file, written)| {
                // First, as its mount in the view tells that it is ours.
                let image = sweep_image(&image_of(&file));
                #[cfg(target_os = "linux")]
                written.device.as_deref().into_iter().for_each(orphans::end);
                #[cfg(not(target_os = "linux"))]
                written.device.as_deref().into_iter().for_each(mount::take_away_served);
                let mut swept = written.leftovers.sweep(&farm_of(&file));
                match image {
                    Ok(detached) => swept.detached = detached,
                    Err(error) => swept.left.push((image_of(&file), error.to_string())),
                }
                if swept.left.is_empty() {
                    drop(Note::new(file, written));
                }
                swept
            })
            .collect())
    }

    /// Removes what processes were writing when they died: notes, and other lists that are kept with them.
    fn remove_unfinished(&self) -> Result<(), StateError> {
        let read = |source| StateError::Read { path: self.path.clone(), source };
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let file = entry.map_err(read)?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let writer = name.strip_suffix(".new").and_then(|name| name.split_once('-')?.0.parse().ok());
            if writer.is_some_and(|pid| !process::is_running(pid)) {
                // Whatever keeps it from being removed, the next sweep tries again.
                let _ = fs::remove_file(&file);
            }
        }
        Ok(())
    }

    fn notes(&self) -> Result<Vec<(PathBuf, Written)>, StateError> {
        let read = |source| StateError::Read { path: self.path.clone(), source };
        let mut notes = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let file = entry.map_err(read)?.path();
            if file.extension().is_some_and(|extension| extension == "json")
                && let Some(written) = read_note(&file)
            {
                notes.push((file, written));
            }
        }
        Ok(notes)
    }

    fn unused_name(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{}-{number}.json", std::process::id()))
    }
}

impl Leftovers {
    fn sweep(&self, farm: &Path) -> Swept {
        let mut swept = Swept { mount: None, detached: None, removed: Vec::new(), left: Vec::new() };
        if let Err(error) = farm::take_apart(farm) {
            // What follows would go down into it, through links that may be directories' too.
            swept.left.push((farm.into(), error.to_string()));
            return swept;
        }
        if let Some(at) = self.mount.as_deref().filter(|at| mount::is_nfs(at)) {
            mount::force_unmount(at);
            if mount::is_nfs(at) {
                swept.left.push((at.into(), "it cannot be unmounted".into()));
                // What is removed through a mount is what it shows.
                return swept;
            }
            swept.mount = Some(at.into());
        }
        for directory in &self.temporary {
            match tree::remove(directory) {
                Ok(true) => swept.removed.push(directory.clone()),
                Ok(false) => {}
                Err(error) => swept.left.push((directory.clone(), error.to_string())),
            }
        }
        swept
    }
}

impl Note {
    /// Adds what is served to a jail. Should its supervisor be killed together with this process, the next sweep
    /// ends the calls of those inside, who wait for a server that is gone.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn serves(&self, source: &Source) -> Result<(), StateError> {
        self.write(&Written { device: Some(options::device(source)), ..self.written.clone() })
    }

    /// Says where the mount is in the kernel's words, by which it is looked for from now on: on a volume that takes several
    /// spellings of a name for the same, perhaps not where it was noted.
    ///
    /// # Errors
    /// If the note cannot be written.
    pub fn mounted_at(&mut self, at: &Path) -> Result<(), StateError> {
        if self.written.leftovers.mount.as_deref() == Some(at) {
            return Ok(());
        }
        self.written.leftovers.mount = Some(at.into());
        self.write(&self.written)
    }

    /// Where a farm of hard links writes down what it puts where. Should this process be killed, the next sweep takes
    /// the farm apart by that list, before it removes anything else.
    #[must_use]
    pub fn farm(&self) -> PathBuf {
        farm_of(&self.file)
    }

    /// Where a jail writes down the disk image that it attaches. Should its supervisor be killed, the next sweep detaches it.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        image_of(&self.file)
    }

    /// Removes a directory that the note is of. It is left as it is, for a later sweep, while what would go down into it
    /// must not: through a mount it would remove what the host shows, and through a farm what is linked. A later sweep
    /// tries again what cannot be removed.
    ///
    /// # Errors
    /// What is still there, and why.
    pub fn remove(&self, directory: &Path) -> io::Result<()> {
        let removed = match self.written.leftovers.mount.as_deref() {
            Some(at) if mount::is_mount_point(at) => {
                Err(io::Error::other(format!("a view is still mounted at {at:?}")))
            }
            _ => farm::remove_around(&self.farm(), directory),
        };
        if removed.is_err() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(directory.into());
        }
        removed
    }

    fn new(file: PathBuf, written: Written) -> Note {
        Note { file, written, left: Mutex::default() }
    }

    fn write(&self, written: &Written) -> Result<(), StateError> {
        let text = serde_json::to_vec(written).map_err(io::Error::other);
        // Written aside and renamed, so that a sweep never reads half a note.
        let aside = self.file.with_extension("json.new");
        text.and_then(|text| fs::write(&aside, text))
            .and_then(|()| fs::rename(&aside, &self.file))
            .map_err(|source| StateError::Write { path: self.file.clone(), source })
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        let mounted = self.written.leftovers.mount.as_deref().is_some_and(mount::is_nfs);
        if mounted || [self.farm(), self.image()].iter().any(|list| list.symlink_metadata().is_ok()) {
            // Something of it is left, for a sweep once this process is gone.
            return;
        }
        let left = std::mem::take(self.left.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !left.is_empty() {
            let leftovers = Leftovers { mount: None, temporary: left };
            if let Err(error) = self.write(&Written { leftovers, ..self.written.clone() }) {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot note what is left");
            }
            return;
        }
        if let Err(error) = fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove the note {:?}: {error}", self.file);
        }
    }
}

fn farm_of(note: &Path) -> PathBuf {
    note.with_extension("farm")
}

fn image_of(note: &Path) -> PathBuf {
    note.with_extension("image")
}

/// The image that was detached.
#[cfg(not(target_os = "linux"))]
fn sweep_image(record: &Path) -> io::Result<Option<PathBuf>> {
    Ok(crate::image::Image::sweep(record)?.map(|image| image.file))
}

/// Nothing else attaches any.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_wraps, reason = "it fails on macOS")]
fn sweep_image(_record: &Path) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

/// A note that cannot be read is none: it was removed meanwhile, or is not of our making.
fn read_note(file: &Path) -> Option<Written> {
    let small =
        file.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= NOTE_MAX);
    if !small {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests;
