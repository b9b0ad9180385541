//! The directories that a build writes to, and removing them.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

/// Makes a directory that only its owner, root, can enter.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Removes whatever is at a path, a whole tree too; nothing being there is fine. Root needs no permission bits for
/// it; another user first gives itself those that it needs on the directory itself.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path);
    }
    if !nix::unistd::Uid::effective().is_root() {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    fs::remove_dir_all(path)
}
