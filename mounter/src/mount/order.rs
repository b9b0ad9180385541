//! In which order mounts are taken away on macOS: one that others lie on is busy.

use std::path::{Path, PathBuf};

/// A mount in the kernel's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry<Id> {
    /// Where it is.
    pub(crate) at: PathBuf,
    /// The file system's type.
    pub(crate) kind: String,
    /// What is mounted, in the file system's own words.
    pub(crate) device: String,
    /// What the kernel knows it by, whatever its path leads to by then.
    pub(crate) id: Id,
}

/// The uppermost mount at a place and those below it, in the order in which they can be taken away: later ones lie on
/// earlier ones.
pub(crate) fn to_unmount<Id: Clone>(table: &[Entry<Id>], at: &Path) -> Vec<Entry<Id>> {
    let Some(from) = table.iter().rposition(|entry| entry.at == at) else { return Vec::new() };
    table[from..].iter().rev().filter(|entry| entry.at.starts_with(at)).cloned().collect()
}

/// Where what a server offered is mounted, the uppermost first.
pub(crate) fn places_of<Id>(table: &[Entry<Id>], device: &str) -> Vec<PathBuf> {
    let served = table.iter().rev().filter(|entry| entry.kind == "nfs" && entry.device == device);
    served.map(|entry| entry.at.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::{Entry, places_of, to_unmount};

    fn table(entries: &[(&str, &str)]) -> Vec<Entry<usize>> {
        let numbered = entries.iter().enumerate();
        let entry = |(id, (at, kind)): (usize, &(&str, &str))| Entry {
            at: at.into(),
            kind: (*kind).into(),
            device: format!("127.0.0.1:{at}"),
            id,
        };
        numbered.map(entry).collect()
    }

    fn order(entries: &[(&str, &str)], at: &str) -> Vec<usize> {
        to_unmount(&table(entries), at.as_ref()).into_iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn what_lies_on_a_mount_goes_first() {
        let entries = [("/", "apfs"), ("/root", "nfs"), ("/root/dev", "devfs"), ("/rootless", "nfs")];
        assert_eq!(order(&entries, "/root"), [2, 1]);
    }

    #[test]
    fn of_two_at_one_place_only_the_upper_one_goes() {
        let entries = [("/root", "nfs"), ("/root/dev", "devfs"), ("/root", "nfs")];
        assert_eq!(order(&entries, "/root"), [2]);
    }

    #[test]
    fn where_nothing_is_mounted_nothing_goes() {
        assert_eq!(order(&[("/root", "nfs"), ("/root/other/deep", "devfs")], "/root/other"), [0; 0]);
    }

    #[test]
    fn a_servers_mounts_are_found_by_what_it_offered() {
        let table = table(&[("/one", "nfs"), ("/two", "nfs"), ("/one", "smbfs")]);
        assert_eq!(places_of(&table, "127.0.0.1:/one"), [std::path::Path::new("/one")]);
        assert_eq!(places_of(&table, "127.0.0.1:/"), [""; 0].map(std::path::PathBuf::from));
    }
}
