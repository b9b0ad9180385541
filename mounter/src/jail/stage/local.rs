//! Mounts files and directories of the machine over what the root shows there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::fcntl::openat;
use nix::sys::stat::Mode;

use super::{ITSELF, JailError, Stage};
use crate::jail::{Local, LocalPlace, User};
use crate::sources::Sources;
use crate::{Identity, rights, sys};

impl Stage<'_> {
    /// Shows all of them. A place whose source is not what it was, or which the user cannot reach by this path, stays as the
    /// root shows it.
    pub fn show_local(&self, local: &Local, user: &User) -> Result<(), JailError> {
        for (place, source) in open_sources(local, user)? {
            self.cover(place, &source)
                .map_err(|source| failed(place, "mount the machine's own over", source))?;
        }
        Ok(())
    }

    /// With all that is mounted below it on the host, as it would be served.
    fn cover(&self, place: &LocalPlace, source: &OwnedFd) -> io::Result<()> {
        let point = self.point(&place.at)?;
        sys::mount_tree(sys::clone_tree(source.as_fd(), sys::NO_DEVICES)?.as_fd(), point.as_fd())
    }
}

/// This process has one thread, and no call of it is for the program yet.
fn open_sources<'a>(local: &'a Local, user: &User) -> Result<Vec<(&'a LocalPlace, OwnedFd)>, JailError> {
    let arrange = |source| JailError::Arrange { what: "take on the user's rights over files".into(), source };
    if local.as_user && !local.places.is_empty() {
        rights::set_file_credentials(user.uid, user.gid, &user.groups).map_err(arrange)?;
    }
    let mut sources = Sources::default();
    let found = local.places.iter().map(|place| match open_source(&mut sources, place) {
        Ok(source) => Ok(source.map(|source| (place, source))),
        Err(_) if local.as_user => Ok(None),
        Err(source) => Err(failed(place, "open the source of", source)),
    });
    let opened = found.filter_map(Result::transpose).collect();
    if local.as_user && !local.places.is_empty() {
        rights::set_file_credentials(0, 0, &[]).map_err(arrange)?;
    }
    opened
}

/// The source, if it is still the one that the root shows.
fn open_source(sources: &mut Sources, place: &LocalPlace) -> io::Result<Option<OwnedFd>> {
    let (holder, name) = sources.holder(&place.source)?;
    let source = openat(holder, name, ITSELF, Mode::empty())?;
    let same = Identity::of(&source)? == place.identity;
    Ok(same.then_some(source))
}

fn failed(place: &LocalPlace, step: &str, source: io::Error) -> JailError {
    JailError::Place { at: place.at.clone(), step: step.into(), source }
}
