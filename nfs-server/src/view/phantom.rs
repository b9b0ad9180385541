//! Phantoms: directories of the host that can be walked, and in which nothing is.

use std::os::fd::AsFd;

use nix::fcntl::AtFlags;
use nix::sys::stat::FileStat;

use super::attributes::FileType;

/// Whether a name leads to a directory that everybody may go through, by a symbolic link perhaps.
pub(crate) fn leads_on(parent: impl AsFd, name: &[u8], stat: &FileStat) -> bool {
    let passable = |stat: &FileStat| {
        FileType::of(stat.st_mode) == FileType::Directory && stat.st_mode & libc::S_IXOTH != 0
    };
    match FileType::of(stat.st_mode) {
        FileType::Symlink => {
            nix::sys::stat::fstatat(parent, name, AtFlags::empty()).is_ok_and(|target| passable(&target))
        }
        _ => passable(stat),
    }
}
