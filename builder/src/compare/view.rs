//! One view, walked through in each backend.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use mounter::jail::{End, Jail, JailError, JailSpec, Outcome, Spawner, Stdio3};
use mounter::stale::{Leftovers, Note, StateDir};
use nfs_server::view::{Access, Entry, ViewSpec};
use serde::Serialize;

use super::walk::{self, Seen};
use super::{CompareError, Walks};
use crate::backend::{BackendError, Kind, Spent, Wish, devices};
use crate::build::ViewSeconds;
use crate::cancel::Cancel;
use crate::plan::User;
use crate::scratch::{self, ScratchError};

/// Who walks: nobody in particular, who has no rights to anything.
const NOBODY: u32 = 65_534;

/// One view in several backends.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewComparison {
    /// What each backend took.
    pub backends: Vec<Walked>,
    /// What differs.
    pub walks: Walks,
}

/// What one backend took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Walked {
    /// Which.
    pub backend: Kind,
    /// How long; `run` is the walk.
    pub seconds: ViewSeconds,
    /// What else.
    pub spent: Spent,
}

/// The surroundings of the walks.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// Where what could be left behind is noted.
    pub state: &'a StateDir,
    /// What starts the supervisors of jails.
    pub spawner: &'a Spawner,
    /// A directory to work in. Hard links are made on its volume.
    pub base: &'a Path,
    /// Ends the walk that is under way, and with it the comparison.
    pub cancel: &'a Cancel,
}

/// Walks through a view in each backend, reading every file, and compares what was seen. Nothing is written: what the
/// view shows writable is shown read-only, and its own directories for writing are empty ones.
///
/// # Errors
/// The first backend that cannot show the view, and why; [`CompareError::Interrupted`].
pub fn compare_views(
    view: &ViewSpec,
    backends: &[Kind],
    surroundings: Surroundings<'_>,
) -> Result<ViewComparison, CompareError> {
    let directory = Directory::make(surroundings)?;
    let view = directory.harmless(view)?;
    let mut walked = Vec::new();
    let mut walks = Vec::new();
    for &backend in backends {
        let (took, seen) = directory.walk(&view, backend, surroundings)?;
        walked.push(took);
        walks.push((backend, seen));
    }
    Ok(ViewComparison { backends: walked, walks: Walks::compare(&view, walks) })
}

/// A directory that is removed with this.
struct Directory {
    path: PathBuf,
    note: Note,
}

impl Directory {
    fn make(surroundings: Surroundings<'_>) -> Result<Directory, ScratchError> {
        let path = surroundings.base.join(mounter::unguessable("loopbox-compare"));
        let note = surroundings.state.note(Leftovers { mount: None, temporary: vec![path.clone()] })?;
        let directory = Directory { path, note };
        scratch::make_private(&directory.path)?;
        Ok(directory)
    }

    /// The same view, with nothing of the host's in it that could be written.
    fn harmless(&self, view: &ViewSpec) -> Result<ViewSpec, ScratchError> {
        let mut entries = view.entries.clone();
        for (number, entry) in entries.iter_mut().enumerate() {
            match entry {
                Entry::Graft { access, .. } if *access == Access::Rw => *access = Access::Ro,
                Entry::Scratch { source, .. } => {
                    *source = self.path.join(format!("scratch-{number}"));
                    scratch::make_private(source)?;
                }
                _ => {}
            }
        }
        Ok(ViewSpec { entries })
    }

    fn walk(
        &self,
        view: &ViewSpec,
        backend: Kind,
        Surroundings { spawner, cancel, .. }: Surroundings<'_>,
    ) -> Result<(Walked, Vec<Seen>), CompareError> {
        let failed = |source: BackendError| CompareError::Backend { backend, source };
        let at = self.path.join(backend.to_string());
        scratch::make_private(&at)?;
        let user = User { uid: NOBODY, gid: NOBODY, groups: Vec::new() };
        let begun = Instant::now();
        let wish = Wish { view, user: &user, at: &at, note: &self.note, sink: None };
        let realised = backend.backend().realise(wish).map_err(failed)?;
        if cancel.is_cancelled() {
            return Err(CompareError::Interrupted);
        }
        let in_jail = |source| CompareError::Jail { backend, source };
        let badly = |source| CompareError::Walk { backend, source };
        let (reader, writer) = io::pipe().map_err(badly)?;
        let stderr = io::stderr().as_fd().try_clone_to_owned().map_err(badly)?;
        let stdio = Stdio3 { stdout: writer.into(), stderr, ..Stdio3::null().map_err(badly)? };
        let jail = Jail::spawn(spawner, &jail(view, realised.root()), stdio).map_err(in_jail)?;
        let started = Instant::now();
        let seen = collect(reader);
        let killer = jail.killer();
        let stoppable = cancel.on_cancel(move || killer.kill());
        let end = jail.wait_for_both();
        drop(stoppable);
        if cancel.is_cancelled() {
            return Err(CompareError::Interrupted);
        }
        let End { outcome, unmounted, unmounting } = end.map_err(in_jail)?;
        unmounted.map_err(|source| in_jail(JailError::Unmount { source }))?;
        let unmounted = Instant::now();
        let ended = unmounted.checked_sub(unmounting).unwrap_or(unmounted);
        let spent = realised.end().map_err(failed)?;
        let seconds = ViewSeconds {
            setup: (started - begun).as_secs_f64(),
            run: (ended - started).as_secs_f64(),
            teardown: ended.elapsed().as_secs_f64(),
        };
        let seen = whole(outcome, seen).map_err(badly)?;
        Ok((Walked { backend, seconds, spent }, seen))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Err(error) = self.note.remove(&self.path) {
            tracing::warn!(directory = ?self.path, %error, "cannot remove a directory");
        }
    }
}

/// Reads what a walk writes while it walks.
pub(super) fn collect(reader: impl Read + Send + 'static) -> thread::JoinHandle<io::Result<Vec<Seen>>> {
    thread::spawn(move || walk::read(reader))
}

/// All that a walk has written, if it came to its end.
pub(super) fn whole(
    outcome: Outcome,
    seen: thread::JoinHandle<io::Result<Vec<Seen>>>,
) -> io::Result<Vec<Seen>> {
    let seen = seen.join().unwrap_or_else(|_| Err(io::Error::other("its reader panicked")))?;
    match outcome {
        Outcome::Exited(0) => Ok(seen),
        Outcome::Exited(code) => Err(io::Error::other(format!("it ended with status {code}"))),
        Outcome::Signaled(signal) => Err(io::Error::other(format!("signal {signal} ended it"))),
    }
}

/// A jail with nothing in it but the walker.
fn jail(view: &ViewSpec, root: mounter::jail::Root) -> JailSpec {
    let nobody = mounter::jail::User::new(NOBODY, NOBODY);
    let devices = devices(view);
    JailSpec { own_task: true, devices, ..JailSpec::new(root, nobody, "/", walk::arguments(true, &[])) }
}
