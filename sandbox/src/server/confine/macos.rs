//! On macOS: a profile of the system's sandbox that leaves the files of the view alone, and nothing to execute or connect to. The
//! process stays root: where there are no process namespaces, what is left of a build is killed by its user, and the
//! server must not be.

use std::io;
use std::path::{Path, PathBuf};

use mounter::profile;
use nfs_server::view::{Access, Credentials, Entry, ViewSpec};
use nix::sys::stat::{Mode, umask};

use super::ConfineError;
use crate::server::Rights;

/// Nobody else.
pub(super) fn becomes(_: &Credentials) -> Option<Credentials> {
    None
}

/// Stays who it is.
#[allow(clippy::unnecessary_wraps, reason = "it fails on Linux")]
pub(super) fn become_user(_: &Rights) -> Result<(), ConfineError> {
    umask(Mode::empty());
    Ok(())
}

/// The profile for the files of a view.
pub(super) struct Files(String);

impl Files {
    #[allow(clippy::unnecessary_wraps, reason = "it fails on Linux")]
    pub fn of(view: &ViewSpec) -> Result<Files, ConfineError> {
        Ok(Files(profile_of(view)))
    }

    pub fn restrict(self) -> Result<(), ConfineError> {
        mounter::jail::enter_profile(&self.0).map_err(|said| ConfineError {
            step: "restrict itself to the files of the view",
            source: io::Error::other(said),
        })
    }
}

fn profile_of(view: &ViewSpec) -> String {
    let (mut read, mut write) = (Vec::new(), Vec::new());
    for entry in &view.entries {
        match entry {
            // What may not even be looked at is not there.
            Entry::Graft { access: Access::Phantom, .. } => {}
            Entry::Graft { source, access: Access::Ro | Access::Fixed, .. } => read.push(real(source)),
            Entry::Graft { source, .. } | Entry::Scratch { source, .. } => write.push(real(source)),
            _ => {}
        }
    }
    profile::server(&read, &write)
}

/// Rules are about paths without symbolic links. The source itself may be one, and is shown as one.
fn real(source: &Path) -> PathBuf {
    match (source.parent().map(Path::canonicalize), source.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        // It is not there, and optional; or it is the root.
        _ => source.into(),
    }
}
