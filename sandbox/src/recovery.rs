//! Recovery from killed runs: each run records what it would leave behind, and a later run removes what the records of
//! killed runs name.

mod error;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use defences::Defence;
use mounter::process::{self, Process};
use mounter::{Source, farm, options, tree};
use serde::{Deserialize, Serialize};

use crate::safe_place::exchangeable;

pub use error::StateError;

/// The longest record that is read, in bytes: one names a handful of paths.
const RECORD_MAX: u64 = 1 << 16;

/// The directory of the run records, readable by its owner only.
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

/// The record of a run that is under way. Dropping it removes the record, unless something could not be removed.
#[derive(Debug)]
pub struct RunRecord {
    file: PathBuf,
    written: RecordFile,
    /// Directories that could not be removed.
    left: Mutex<Vec<PathBuf>>,
}

/// What was removed of one run that was killed.
#[derive(Debug, Serialize)]
pub struct RecoveredRun {
    /// The mount that was taken away.
    pub mount: Option<PathBuf>,
    /// The disk image that was detached.
    pub detached: Option<PathBuf>,
    /// The directories that were removed.
    pub removed: Vec<PathBuf>,
    /// What could not be removed, with the error.
    pub left: Vec<(PathBuf, String)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct RecordFile {
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
        let whole = std::path::absolute(path).map_err(make)?;
        let is_roots = nix::unistd::geteuid().is_root() && Defence::SafeDirectories.stands();
        let check = |around: Option<&Path>| {
            let around = around.filter(|_| is_roots);
            match around.map(exchangeable).transpose().map_err(make)?.flatten() {
                Some(directory) => Err(StateError::Exchangeable { path: path.into(), directory }),
                None => Ok(()),
            }
        };
        // Nothing is made where others could exchange it; and nobody has, before it was made.
        check(whole.ancestors().skip(1).find(|above| above.symlink_metadata().is_ok()))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(make)?;
        let metadata = path.symlink_metadata().map_err(make)?;
        let is_closed = metadata.is_dir() && metadata.mode() & 0o022 == 0;
        let ours = is_closed && metadata.uid() == nix::unistd::geteuid().as_raw();
        if !ours && Defence::StateDirectory.stands() {
            return Err(StateError::NotOurs { path: path.into() });
        }
        check(whole.parent())?;
        Ok(StateDir { path: path.into() })
    }

    /// Where it is.
    #[cfg(target_os = "linux")]
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes down what this process would leave behind. Write it before the first of these things exists.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn record(&self, leftovers: Leftovers) -> Result<RunRecord, StateError> {
        let written = RecordFile { owner: Process::current(), leftovers, device: None };
        let record = RunRecord::new(self.unused_name(), written);
        record.write(&record.written)?;
        Ok(record)
    }

    /// The living process that has recorded a mount at this place.
    ///
    /// # Errors
    /// If the records cannot be listed.
    pub fn owner_of(&self, mount: &Path) -> Result<Option<u32>, StateError> {
        let found = self.records()?.into_iter().find(|(_, written)| {
            written.leftovers.mount.as_deref() == Some(mount) && written.owner.is_alive()
        });
        Ok(found.map(|(_, written)| written.owner.pid()))
    }

    /// The processes that live and have sessions, each with where it answers what that session does.
    ///
    /// # Errors
    /// If the records cannot be listed.
    pub(crate) fn living(&self) -> Result<Vec<(u32, PathBuf)>, StateError> {
        let living = self.records()?.into_iter().filter(|(_, written)| written.owner.is_alive());
        Ok(living.map(|(file, written)| (written.owner.pid(), status_of(&file))).collect())
    }

    /// Removes what killed runs left behind.
    ///
    /// # Errors
    /// If the records cannot be listed. What a single record names and cannot be removed is in its [`RecoveredRun`], and the
    /// record stays for the next sweep.
    pub fn sweep(&self) -> Result<Vec<RecoveredRun>, StateError> {
        self.remove_unfinished()?;
        let dead = self.records()?.into_iter().filter(|(_, written)| !written.owner.is_alive());
        Ok(dead
            .map(|(file, written)| {
                // First, as its mount in the view tells that it is ours.
                let image = sweep_image(&image_of(&file));
                written.device.as_deref().into_iter().for_each(mounter::end_served);
                let mut swept = written.leftovers.sweep(&farm_of(&file));
                match image {
                    Ok(detached) => swept.detached = detached,
                    Err(error) => swept.left.push((image_of(&file), error.to_string())),
                }
                if swept.left.is_empty() {
                    // Nobody answers there any more.
                    let _ = fs::remove_file(status_of(&file));
                    drop(RunRecord::new(file, written));
                }
                swept
            })
            .collect())
    }

    /// Removes what processes were writing when they died, records and other lists that are kept with them, and sockets whose
    /// record is gone.
    fn remove_unfinished(&self) -> Result<(), StateError> {
        let read = |source| StateError::Read { path: self.path.clone(), source };
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let file = entry.map_err(read)?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let alone = || name.strip_suffix(".status").filter(|_| !file.with_extension("json").exists());
            let left = name.strip_suffix(".new").or_else(alone);
            let writer = left.and_then(|name| name.split_once('-')?.0.parse().ok());
            if writer.is_some_and(|pid| !process::is_running(pid)) {
                // Whatever keeps it from being removed, the next sweep tries again.
                let _ = fs::remove_file(&file);
            }
        }
        Ok(())
    }

    fn records(&self) -> Result<Vec<(PathBuf, RecordFile)>, StateError> {
        let read = |source| StateError::Read { path: self.path.clone(), source };
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(read)? {
            let file = entry.map_err(read)?.path();
            if file.extension().is_some_and(|extension| extension == "json")
                && let Some(written) = read_record(&file)
            {
                records.push((file, written));
            }
        }
        Ok(records)
    }

    fn unused_name(&self) -> PathBuf {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.path.join(format!("{}-{number}.json", std::process::id()))
    }
}

impl Leftovers {
    fn sweep(&self, farm: &Path) -> RecoveredRun {
        let mut swept = RecoveredRun { mount: None, detached: None, removed: Vec::new(), left: Vec::new() };
        if let Err(error) = farm::remove_farm(farm) {
            // What follows would go down into it, through links that may be directories' too.
            swept.left.push((farm.into(), error.to_string()));
            return swept;
        }
        if let Some(at) = self.mount.as_deref().filter(|at| mounter::is_nfs(at)) {
            mounter::force_unmount(at);
            if mounter::is_nfs(at) {
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

impl RunRecord {
    /// Adds what is served to a jail. Should its supervisor be killed together with this process, the next sweep
    /// ends the calls of those inside, who wait for a server that is gone.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn serves(&self, source: &Source) -> Result<(), StateError> {
        self.write(&RecordFile { device: Some(options::device(source)), ..self.written.clone() })
    }

    /// Says where the mount is in the kernel's words, by which it is looked for from now on: on a volume that takes several
    /// spellings of a name for the same, perhaps not where it was recorded.
    ///
    /// # Errors
    /// If the record cannot be written.
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

    /// Where the session answers what it does.
    pub(crate) fn status(&self) -> PathBuf {
        status_of(&self.file)
    }

    /// Removes a directory that the record names. It is left as it is, for a later sweep, while what would go down into it
    /// must not: through a mount it would remove what the host shows, and through a farm what is linked. A later sweep
    /// tries again what cannot be removed.
    ///
    /// # Errors
    /// What is still there, and why.
    pub fn remove(&self, directory: &Path) -> io::Result<()> {
        let removed = match self.written.leftovers.mount.as_deref() {
            Some(at) if mounter::is_mount_point(at) => {
                Err(io::Error::other(format!("a view is still mounted at {at:?}")))
            }
            _ => farm::remove_around(&self.farm(), directory),
        };
        if removed.is_err() {
            self.left.lock().unwrap_or_else(PoisonError::into_inner).push(directory.into());
        }
        removed
    }

    fn new(file: PathBuf, written: RecordFile) -> RunRecord {
        RunRecord { file, written, left: Mutex::default() }
    }

    fn write(&self, written: &RecordFile) -> Result<(), StateError> {
        let text = serde_json::to_vec(written).map_err(io::Error::other);
        // Written aside and renamed, so that a sweep never reads half a record.
        let aside = self.file.with_extension("json.new");
        text.and_then(|text| fs::write(&aside, text))
            .and_then(|()| fs::rename(&aside, &self.file))
            .map_err(|source| StateError::Write { path: self.file.clone(), source })
    }
}

impl Drop for RunRecord {
    fn drop(&mut self) {
        let mounted = self.written.leftovers.mount.as_deref().is_some_and(mounter::is_nfs);
        if mounted || [self.farm(), self.image()].iter().any(|list| list.symlink_metadata().is_ok()) {
            // Something of it is left, for a sweep once this process is gone.
            return;
        }
        let left = std::mem::take(self.left.get_mut().unwrap_or_else(PoisonError::into_inner));
        if !left.is_empty() {
            let leftovers = Leftovers { mount: None, temporary: left };
            if let Err(error) = self.write(&RecordFile { leftovers, ..self.written.clone() }) {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot record what is left");
            }
            return;
        }
        if let Err(error) = fs::remove_file(&self.file)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!("cannot remove the run record {:?}: {error}", self.file);
        }
    }
}

fn farm_of(record: &Path) -> PathBuf {
    record.with_extension("farm")
}

fn status_of(record: &Path) -> PathBuf {
    record.with_extension("status")
}

fn image_of(record: &Path) -> PathBuf {
    record.with_extension("image")
}

/// The image that was detached.
#[cfg(not(target_os = "linux"))]
fn sweep_image(record: &Path) -> io::Result<Option<PathBuf>> {
    mounter::sweep_image(record)
}

/// Nothing else attaches any.
#[cfg(target_os = "linux")]
#[allow(clippy::unnecessary_wraps, reason = "it fails on macOS")]
fn sweep_image(_record: &Path) -> io::Result<Option<PathBuf>> {
    Ok(None)
}

/// A record that cannot be read is none: it was removed meanwhile, or is not of our making.
fn read_record(file: &Path) -> Option<RecordFile> {
    let small =
        file.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= RECORD_MAX);
    if !small {
        return None;
    }
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests;
