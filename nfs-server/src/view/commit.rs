//! Syncs files.

use super::blocking::Blocking;
use super::caller::Caller;
use super::error::Error;
use super::resolve::check_regular;
use super::writable::Writable;

impl Writable<'_> {
    /// Writes a file's data to the disk, except in a scratch, which does not outlive the build.
    ///
    /// # Errors
    /// What the host says; [`Error::WouldBlock`] as `blocking` says.
    pub fn commit(&self, caller: Caller<'_>, blocking: Blocking) -> Result<(), Error> {
        check_regular(self.view.kind(&self.node))?;
        if !self.host_entry()?.scratch {
            blocking.check(true)?;
            nix::unistd::fsync(self.view.data(&self.node, true, caller)?.descriptor())?;
        }
        Ok(())
    }
}
