//! Whether somebody else could put something else in the place of a directory.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;

/// How many links a path may lead through, as in the kernel (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// The first directory on the way to `path`, itself included, in which others than root and this user can exchange what lies there.
///
/// Each has to belong to one of the two, and others may write there only if it is sticky; links are followed, and are to belong to
/// one of the two as well.
///
/// # Errors
/// If there is no such path, or it cannot be looked at.
pub fn exchangeable(path: &Path) -> io::Result<Option<PathBuf>> {
    let uid = nix::unistd::geteuid().as_raw();
    exchangeable_by(path, &|metadata| [0, uid].contains(&metadata.uid()))
}

fn exchangeable_by(path: &Path, is_ours: &dyn Fn(&Metadata) -> bool) -> io::Result<Option<PathBuf>> {
    let mut at = PathBuf::from("/");
    let mut rest = parts(&std::path::absolute(path)?);
    let mut links = 0;
    loop {
        let metadata = at.symlink_metadata()?;
        if metadata.is_symlink() {
            links += 1;
            if links > LINKS_MAX {
                return Err(Errno::ELOOP.into());
            }
            let target = at.read_link()?;
            at.pop();
            if !is_ours(&metadata) {
                return Ok(Some(at));
            }
            if target.is_absolute() {
                at = "/".into();
            }
            rest.extend(parts(&target));
        } else {
            let is_closed = metadata.mode() & 0o022 == 0 || metadata.mode() & 0o1000 != 0;
            if !is_ours(&metadata) || !is_closed {
                return Ok(Some(at));
            }
        }
        match rest.pop() {
            None => return Ok(None),
            Some(name) if name == ".." => drop(at.pop()),
            Some(name) => at.push(name),
        }
    }
}

/// The names in a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let part = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// A directory with this mode in a place that is nobody else's.
    fn directory(place: &Path, name: &str, mode: u32) -> PathBuf {
        let path = place.join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        path
    }

    #[test]
    fn only_owners_may_write_unless_it_is_sticky() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        for (mode, is_safe) in [(0o755, true), (0o700, true), (0o1777, true), (0o775, false), (0o757, false)]
        {
            let path = directory(&place, &format!("{mode:o}"), mode);
            let below = directory(&path, "below", 0o700);
            assert_eq!(exchangeable(&below).unwrap(), (!is_safe).then_some(path), "{mode:o}");
        }
    }

    #[test]
    fn a_directory_of_somebody_elses_is_his() {
        let place = tempfile::tempdir().unwrap();
        let path = directory(&place.path().canonicalize().unwrap(), "his", 0o755);
        let his = path.metadata().unwrap().ino();
        assert_eq!(exchangeable_by(&path, &|metadata| metadata.ino() != his).unwrap(), Some(path));
    }

    #[test]
    fn a_relative_path_begins_where_this_process_is() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        let his = here.metadata().unwrap().ino();
        let found = exchangeable_by(Path::new("."), &|metadata| metadata.ino() != his);
        assert_eq!(found.unwrap(), Some(here));
    }

    #[test]
    fn where_links_lead_counts_and_where_they_lie() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let (open, safe) = (directory(&place, "open", 0o777), directory(&place, "safe", 0o755));
        symlink("../open", safe.join("into")).unwrap();
        assert_eq!(exchangeable(&safe.join("into")).unwrap().as_ref(), Some(&open));
        symlink(&safe, open.join("out")).unwrap();
        assert_eq!(exchangeable(&open.join("out")).unwrap().as_ref(), Some(&open));
        let sticky = directory(&place, "sticky", 0o1777);
        symlink(&safe, sticky.join("link")).unwrap();
        assert_eq!(exchangeable(&sticky.join("link/../safe")).unwrap(), None);
        let his = sticky.join("link").symlink_metadata().unwrap().ino();
        let found = exchangeable_by(&sticky.join("link"), &|metadata| metadata.ino() != his);
        assert_eq!(found.unwrap(), Some(sticky));
        symlink("loop", safe.join("loop")).unwrap();
        assert_eq!(exchangeable(&safe.join("loop")).unwrap_err().raw_os_error(), Some(libc::ELOOP));
    }
}
