//! One view, walked through in each backend.

use std::path::{Path, PathBuf};

use mounter::jail::{JailSpec, Spawner, User};
use nfs_server::view::{Access, Entry, ViewSpec};
use serde::Serialize;

use super::walk::{ObservedFile, Walker};
use super::{WalkComparison, WalkError};
use crate::backend::{BackendKind, ResourceUsage};
use crate::cancel::Cancel;
use crate::recovery::StateDir;
use crate::server::ServeOptions;
use crate::session::{PhaseSeconds, Privilege, SessionError, Setup};
use crate::work_dir::{Layout, TopDir, WorkDir, WorkDirError, make_private};

/// Who walks: nobody in particular, who has no rights to anything.
const NOBODY: User = User::new(65_534, 65_534);

/// One view in several backends.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ViewComparison {
    /// What each backend took.
    pub backends: Vec<WalkStats>,
    /// What differs.
    pub walks: WalkComparison,
}

/// What the walk through one backend took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WalkStats {
    /// The backend.
    pub backend: BackendKind,
    /// How long; `run` is the walk.
    pub seconds: PhaseSeconds,
    /// Memory, processor time and calls.
    pub spent: ResourceUsage,
}

/// What the walks have in common.
#[derive(Clone, Copy)]
pub struct WalkContext<'a> {
    /// Where what could be left behind is recorded.
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
/// The first backend that cannot show the view, and why; [`WalkError::Interrupted`].
pub fn compare_views(
    view: &ViewSpec,
    backends: &[BackendKind],
    context: WalkContext<'_>,
) -> Result<ViewComparison, WalkError> {
    let scratches = context.base.join(mounter::unguessable("loopbox-compare"));
    let layout = Layout { tops: vec![TopDir::new(scratches.clone())], ..Layout::default() };
    let _work_dir = WorkDir::create(context.state, layout)?;
    let view = harmless(view, &scratches)?;
    let mut walked = Vec::new();
    let mut walks = Vec::new();
    for &backend in backends {
        let (took, seen) = walk(&view, backend, context)?;
        walked.push(took);
        walks.push((backend, seen));
    }
    Ok(ViewComparison { backends: walked, walks: WalkComparison::compare(&view, walks) })
}

/// The same view, with nothing of the host's in it that could be written.
fn harmless(view: &ViewSpec, scratches: &Path) -> Result<ViewSpec, WorkDirError> {
    let mut entries = view.entries.clone();
    for (number, entry) in entries.iter_mut().enumerate() {
        match entry {
            Entry::Graft { access, .. } if *access == Access::Rw => *access = Access::Ro,
            Entry::Scratch { source, .. } => {
                *source = scratches.join(number.to_string());
                make_private(source)?;
            }
            _ => {}
        }
    }
    Ok(ViewSpec { entries })
}

fn walk(
    view: &ViewSpec,
    backend: BackendKind,
    WalkContext { state, spawner, base, cancel }: WalkContext<'_>,
) -> Result<(WalkStats, Vec<ObservedFile>), WalkError> {
    let top: PathBuf = base.join(mounter::unguessable("loopbox-compare"));
    let layout = Layout { tops: vec![TopDir::new(top)], mount_in: Some(0), reachable: false };
    let work_dir = WorkDir::create(state, layout)?;
    let made = backend.backend();
    let setup = Setup {
        view,
        user: &NOBODY,
        backend: &*made,
        work_dir: &work_dir,
        privilege: Privilege::Own(spawner),
        serve: ServeOptions::default(),
    };
    let failed = |source: SessionError| WalkError::View { backend, source };
    let session = setup.open().map_err(|error| failed(error.into()))?;
    let walker = Walker { cancel, contents: true, without: &[] };
    let jail = JailSpec::new(NOBODY, "/", vec!["loopbox".into()]);
    let (ended, seen) = walker.walk(session, jail, backend)?;
    Ok((WalkStats { backend, seconds: ended.times.seconds(), spent: ended.usage }, seen))
}
