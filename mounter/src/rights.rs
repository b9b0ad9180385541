//! Another user's rights over files, for this thread alone.

use std::io;

use nix::unistd::{Gid, Uid, setfsgid, setfsuid, setgroups};

/// From now on this thread, which is root's, opens, makes and removes files as this user would. Nobody can send it signals for
/// that, or trace it.
///
/// # Errors
/// The system refuses. What has been taken on of the user's rights by then stays.
pub fn set_file_credentials(uid: u32, gid: u32, groups: &[u32]) -> io::Result<()> {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    setfsgid(gid);
    setfsuid(uid);
    // It answers who it was before; asked again, who it is now (setfsuid(2)).
    if (setfsgid(gid), setfsuid(uid)) == (gid, uid) {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}
