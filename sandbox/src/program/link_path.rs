//! The symbolic links on the way to a host file, each as an entry of its own, so that the same paths work in a view.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use nfs_server::view::Entry;

use super::{ShowError, graft};

/// As many links as Linux follows in one path (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// Adds the file, and every link that leads to it.
pub(super) fn add(path: &Path, entries: &mut BTreeMap<PathBuf, Entry>) -> Result<(), ShowError> {
    let failed = |source| ShowError::Links { path: path.into(), source };
    let mut rest: Vec<PathBuf> = components(path);
    let mut place = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = rest.pop() {
        match name.components().next() {
            Some(Component::ParentDir) => {
                place.pop();
            }
            Some(Component::Normal(_)) => {
                let next = place.join(&name);
                if !fs::symlink_metadata(&next).map_err(failed)?.is_symlink() {
                    place = next;
                    continue;
                }
                links += 1;
                if links > LINKS_MAX {
                    return Err(failed(io::Error::from_raw_os_error(libc::ELOOP)));
                }
                let target = fs::read_link(&next).map_err(failed)?;
                if target.is_absolute() {
                    place = "/".into();
                }
                rest.extend(components(&target));
                entries.insert(next.clone(), Entry::Symlink { at: next, target });
            }
            _ => {}
        }
    }
    entries.entry(place.clone()).or_insert(graft(place));
    Ok(())
}

/// The names of a path, the last one first.
fn components(path: &Path) -> Vec<PathBuf> {
    path.components().rev().map(|component| component.as_os_str().into()).collect()
}
