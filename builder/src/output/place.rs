//! Moves outputs into the store by rename, each in one step, and takes them back unless they are kept.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::fcntl::renameat;

use super::{OutputError, open_directory};
use crate::plan::PlannedOutput;
use crate::store::Store;

/// What becomes of what is there already under an output's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplacePolicy {
    /// It is not valid, or it would not have been built: the rest of a build that died. It is removed.
    Remove,
    /// It is valid, and not whole any more. It takes the place of what is moved in, in the same instant: whoever
    /// uses the path finds the one or the other.
    Exchange,
}

/// Outputs that are in place but not registered.
#[derive(Debug)]
pub(super) struct Moved<'a> {
    from: &'a OwnedFd,
    into: OwnedFd,
    places: Vec<(PathBuf, Option<&'a str>)>,
}

/// Moves the outputs.
pub(super) fn move_into_store<'a>(
    from: &'a OwnedFd,
    outputs: &[&'a PlannedOutput],
    store: &Store,
    existing: ReplacePolicy,
) -> Result<Moved<'a>, OutputError> {
    let into = open_directory(store.directory())?;
    let mut moved = Moved { from, into, places: Vec::new() };
    for output in outputs {
        let (place, name) = (store.locate(&output.path), output.path.base());
        let failed = |source| OutputError::Move { output: output.name.clone(), source };
        if existing == ReplacePolicy::Exchange && place.symlink_metadata().is_ok() {
            exchange(from, &moved.into, name).map_err(|error| failed(error.into()))?;
            moved.places.push((place, Some(name)));
        } else {
            sandbox::tree::remove(&place).map(drop).map_err(failed)?;
            renameat(from, name, &moved.into, name).map_err(|error| failed(error.into()))?;
            moved.places.push((place, None));
        }
    }
    Ok(moved)
}

impl Moved<'_> {
    /// Leaves the outputs where they are: they have been registered.
    pub fn keep(mut self) {
        self.places.clear();
    }
}

impl Drop for Moved<'_> {
    fn drop(&mut self) {
        for (place, exchanged) in &self.places {
            let undone = match exchanged {
                Some(name) => exchange(self.from, &self.into, name).map_err(Into::into),
                None => sandbox::tree::remove(place).map(drop),
            };
            if let Err(error) = undone {
                tracing::warn!(?place, %error, "cannot take back an output that was not registered");
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn exchange(from: &OwnedFd, into: &OwnedFd, name: &str) -> nix::Result<()> {
    rustix::fs::renameat_with(from, name, into, name, rustix::fs::RenameFlags::EXCHANGE)
        .map_err(|error| nix::Error::from_raw(error.raw_os_error()))
}

/// Elsewhere it takes three steps, of which the first two leave the name free for an instant.
#[cfg(not(target_os = "linux"))]
fn exchange(from: &OwnedFd, into: &OwnedFd, name: &str) -> nix::Result<()> {
    let aside = format!("{name}.old");
    renameat(into, name, from, aside.as_str())?;
    renameat(from, name, into, name)?;
    renameat(from, aside.as_str(), from, name)
}
