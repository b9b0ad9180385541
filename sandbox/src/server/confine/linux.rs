//! On Linux: the user's own ids, no capability, no way to files but those of the view, and no system call that serving them
//! does not take.

use std::io;

use defences::Defence;
use mounter::jail::NO_ID;
use nfs_server::view::{Credentials, ViewSpec};
use nix::sys::prctl;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities,
};

use super::{Capability, ConfineError, calls, files};
use crate::server::Rights;

/// Who the process becomes.
pub(super) fn becomes(credentials: &Credentials) -> Option<Credentials> {
    Some(credentials.clone())
}

/// Becomes the user, with no right that is not among these.
pub(super) fn become_user(rights: &Rights) -> Result<(), ConfineError> {
    umask(Mode::empty());
    if !Defence::ServerUser.stands() {
        return Ok(());
    }
    let keeps = rights.capabilities.iter().map(|kept| CapabilitySet::from(*kept)).collect();
    give_up(keeps, &rights.user).map_err(step("give up its privileges"))?;
    prctl::set_no_new_privs().map_err(step("do without new privileges"))?;
    // Nobody of this user may look into it.
    prctl::set_dumpable(false).map_err(step("keep others from tracing it"))
}

/// The rules for the files of a view.
pub(super) struct Files(files::LandlockRules);

impl Files {
    pub fn of(view: &ViewSpec) -> Result<Files, ConfineError> {
        files::LandlockRules::of(view).map(Files).map_err(step("make rules for the files of the view"))
    }

    pub fn restrict(self) -> Result<(), ConfineError> {
        if Defence::ServerFiles.stands() {
            self.0.apply().map_err(step("restrict itself to the files of the view"))?;
        }
        if Defence::ServerCalls.stands() {
            calls::restrict().map_err(step("restrict its system calls"))?;
        }
        Ok(())
    }
}

fn give_up(keeps: CapabilitySet, credentials: &Credentials) -> io::Result<()> {
    for capability in CapabilitySet::all().difference(keeps).iter() {
        match remove_capability_from_bounding_set(capability) {
            // An older kernel knows fewer.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    clear_ambient_capability_set()?;
    let Credentials { uid, gid, groups } = credentials;
    if [uid, gid].contains(&&NO_ID) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let sets = CapabilitySets { effective: keeps, permitted: keeps, inheritable: CapabilitySet::empty() };
    Ok(set_capabilities(None, sets)?)
}

fn step<E: Into<io::Error>>(step: &'static str) -> impl Fn(E) -> ConfineError {
    move |error| ConfineError { step, source: error.into() }
}

impl From<Capability> for CapabilitySet {
    fn from(capability: Capability) -> CapabilitySet {
        match capability {
            Capability::Chown => CapabilitySet::CHOWN,
            Capability::DacOverride => CapabilitySet::DAC_OVERRIDE,
            Capability::Fowner => CapabilitySet::FOWNER,
        }
    }
}
