//! What a build waits for before it begins: locks that other processes have, of this program or of Nix.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::build::{BuildError, Builder, Event, WaitReason};
use crate::store::{BuildUser, LockHolder, PathLocks};

impl Builder {
    /// Locks the paths of outputs, unless Nix has done so for us.
    pub(crate) fn lock(&self, places: &BTreeSet<PathBuf>) -> Result<Option<PathLocks>, BuildError> {
        if self.options.in_build_hook {
            return Ok(None);
        }
        let waiting = |path: &Path, holder: Option<&LockHolder>| self.tell(&WaitReason::Path(path, holder));
        let locks = PathLocks::acquire(places, &self.cancel, waiting)?;
        Ok(Some(locks.ok_or(BuildError::Interrupted)?))
    }

    /// Takes a build user, or the one of this number.
    pub(crate) fn acquire_user(&self, uid: Option<u32>) -> Result<BuildUser, BuildError> {
        let waiting = || self.tell(&WaitReason::User);
        let user = match uid {
            None => self.users.acquire(&self.cancel, waiting)?,
            Some(uid) => self.users.acquire_one(uid, &self.cancel, waiting)?,
        };
        user.ok_or(BuildError::Interrupted)
    }

    fn tell(&self, reason: &WaitReason<'_>) {
        self.observer.observe(&Event::Waiting(reason));
    }
}
