//! Taking the set-id bits of a tree's files away.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, fchmodat, fstatat};

use super::TreeError;
use super::stack::{DirStack, Entry, LeaveOutcome, Mounts};

const SET_ID: Mode = Mode::S_ISUID.union(Mode::S_ISGID);

/// Makes programs of this user in a directory those that everybody runs as himself. Nobody may write to the directory any more.
///
/// # Errors
/// The first thing that cannot be looked at or changed.
pub fn clear_set_id(directory: &Path, uid: u32) -> Result<(), TreeError> {
    let opened = DirStack::open(directory, Mounts::Refuse);
    let mut stack =
        opened.map_err(|error| TreeError::Step { step: "list", path: directory.into(), error })?;
    loop {
        let (name, step) = match stack.next_entry() {
            Some(Ok(entry)) => {
                let step = look_at(&mut stack, &entry, uid);
                (entry.name, step)
            }
            Some(Err(error)) => (OsString::new(), Err(error)),
            None if stack.depth() == 0 => return Ok(()),
            None => match stack.leave() {
                Ok(LeaveOutcome::Moved) => return Err(TreeError::Changing { path: directory.into() }),
                left => (OsString::new(), left.map(drop)),
            },
        };
        step.map_err(|error| TreeError::Step { step: "look at", path: stack.path_of(&name), error })?;
    }
}

fn look_at(stack: &mut DirStack, Entry { name, is_directory }: &Entry, uid: u32) -> io::Result<()> {
    if *is_directory == Some(false) {
        return clear(stack, name, uid);
    }
    match stack.enter(name) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTDIR | libc::ELOOP)) => {
            clear(stack, name, uid)
        }
        entered => entered,
    }
}

fn clear(stack: &DirStack, name: &OsStr, uid: u32) -> io::Result<()> {
    let status = match fstatat(stack.fd()?, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(()),
        status => status?,
    };
    let mode = Mode::from_bits_truncate(status.st_mode);
    let is_file = status.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits();
    if is_file && status.st_uid == uid && mode.intersects(SET_ID) {
        fchmodat(stack.fd()?, name, mode.difference(SET_ID), FchmodatFlags::NoFollowSymlink)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn files_of_the_user_lose_their_set_id_bits() {
        let (tree, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
        let deep = tree.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        symlink(elsewhere.path(), deep.join("link")).unwrap();
        fs::set_permissions(elsewhere.path(), Permissions::from_mode(0o4755)).unwrap();
        for (name, mode) in [("plain", 0o755), ("user", 0o4711), ("both", 0o6755)] {
            fs::write(deep.join(name), "").unwrap();
            fs::set_permissions(deep.join(name), Permissions::from_mode(mode)).unwrap();
        }
        let uid = deep.metadata().unwrap().uid();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        clear_set_id(tree.path(), uid + 1).unwrap();
        assert_eq!(mode(&deep.join("user")), 0o4711, "it is another user's");
        clear_set_id(tree.path(), uid).unwrap();
        assert_eq!(["plain", "user", "both"].map(|name| mode(&deep.join(name))), [0o755, 0o711, 0o755]);
        assert_eq!(mode(elsewhere.path()), 0o4755, "links are not followed");
    }
}
