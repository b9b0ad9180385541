//! Whoever runs this process, as the user of a program.

use std::io;

use nix::unistd::{Gid, Uid};
use sandbox::jail::User;

/// The effective user and group, with the further groups of this process.
///
/// # Errors
/// Those of getgroups(2).
pub(crate) fn user() -> io::Result<User> {
    let (uid, gid) = (Uid::effective(), Gid::effective());
    // `nix` does not have it for macOS, where no session is anybody else's than root's.
    #[cfg(target_os = "linux")]
    let groups = nix::unistd::getgroups()?.into_iter().map(Gid::as_raw).collect();
    #[cfg(not(target_os = "linux"))]
    let groups = Vec::new();
    Ok(User { groups, ..User::new(uid.as_raw(), gid.as_raw()) })
}
