//! The kernel's table of mounts on macOS: which of them is ours, and in which order they are taken away.

use std::ffi::OsStr;
use std::path::Path;

use unicode_normalization::UnicodeNormalization;

use crate::mount_table::MountEntry;

/// Flags that decide what programs can do with a mount of loopbox's, and whether they have to be set.
const FLAGS: [(u32, bool, &str); 6] = [
    (0x0000_0001, false, "rdonly"),
    (0x0000_0004, false, "noexec"),
    (0x0000_0008, true, "nosuid"),
    (0x0000_0010, true, "nodev"),
    (0x0000_0020, false, "union"),
    (0x0020_0000, false, "noowners"),
];

/// The uppermost mount at a place and those below it, in the order in which they can be taken away: one that others lie
/// on is busy, and later ones lie on earlier ones.
pub(crate) fn to_unmount<Id: Clone>(table: &[MountEntry<Id>], at: &Path) -> Vec<MountEntry<Id>> {
    table.iter().rposition(|entry| entry.at == at).map_or_else(Vec::new, |from| with_those_below(table, from))
}

/// The same for one mount, also when others lie at the same place.
pub(crate) fn to_unmount_one<Id: Clone + PartialEq>(
    table: &[MountEntry<Id>],
    id: &Id,
) -> Vec<MountEntry<Id>> {
    table.iter().position(|entry| entry.id == *id).map_or_else(Vec::new, |from| with_those_below(table, from))
}

fn with_those_below<Id: Clone>(table: &[MountEntry<Id>], from: usize) -> Vec<MountEntry<Id>> {
    let at = &table[from].at;
    table[from..].iter().rev().filter(|entry| entry.at.starts_with(at)).cloned().collect()
}

/// Where what a server offered is mounted, the uppermost first.
pub(crate) fn served<'a, Id>(
    table: &'a [MountEntry<Id>],
    device: &'a str,
) -> impl Iterator<Item = &'a MountEntry<Id>> + use<'a, Id> {
    table.iter().rev().filter(move |entry| entry.kind == "nfs" && entry.device == device)
}

/// The place of a mount as the table writes it, when its path is given in other letters: a volume may take `View` and
/// `view`, and the two forms of `é`, for the same name, and the table has the one that the directory was made with.
/// The directory that it is in is given as the table would write it.
pub(crate) fn spelling<'a, Id>(
    table: &'a [MountEntry<Id>],
    parent: &Path,
    name: &OsStr,
    case_sensitive: bool,
) -> Option<&'a Path> {
    let places = || table.iter().rev().map(|entry| entry.at.as_path());
    let exact = parent.join(name);
    places().find(|at| *at == exact).or_else(|| {
        places().find(|at| {
            at.parent() == Some(parent)
                && at.file_name().is_some_and(|found| same_name(found, name, case_sensitive))
        })
    })
}

/// Whether a volume takes two names for one. APFS does not tell forms of Unicode apart, and cases where it was not asked
/// to. Lower case stands for its folding of case: they differ in a handful of letters.
fn same_name(one: &OsStr, other: &OsStr, case_sensitive: bool) -> bool {
    let (Some(one), Some(other)) = (one.to_str(), other.to_str()) else { return one == other };
    if case_sensitive {
        return one.nfd().eq(other.nfd());
    }
    let folded = |name: &str| name.nfd().flat_map(char::to_lowercase).nfd().collect::<String>();
    folded(one) == folded(other)
}

/// What is wrong with a mount's flags, if anything is: `/etc/nfs.conf` may have added to them.
pub(crate) fn fault(flags: u32) -> Option<String> {
    let (_, wanted, name) = FLAGS.into_iter().find(|(flag, wanted, _)| (flags & flag != 0) != *wanted)?;
    Some(match wanted {
        true => format!("it is not {name:?}, as was asked for"),
        false => format!("it is {name:?}, which was not asked for"),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{MountEntry, fault, served, spelling, to_unmount, to_unmount_one};

    fn table(entries: &[(&str, &str)]) -> Vec<MountEntry<usize>> {
        let numbered = entries.iter().enumerate();
        let entry = |(id, (at, kind)): (usize, &(&str, &str))| MountEntry {
            at: at.into(),
            kind: (*kind).into(),
            device: format!("127.0.0.1:{at}"),
            flags: 0,
            id,
        };
        numbered.map(entry).collect()
    }

    fn numbers(entries: &[MountEntry<usize>]) -> Vec<usize> {
        entries.iter().map(|entry| entry.id).collect()
    }

    fn order(entries: &[(&str, &str)], at: &str) -> Vec<usize> {
        numbers(&to_unmount(&table(entries), at.as_ref()))
    }

    #[test]
    fn what_lies_on_a_mount_goes_first() {
        let entries = [("/", "apfs"), ("/root", "nfs"), ("/root/dev", "devfs"), ("/rootless", "nfs")];
        assert_eq!(order(&entries, "/root"), [2, 1]);
        assert_eq!(numbers(&to_unmount_one(&table(&entries), &1)), [2, 1]);
    }

    #[test]
    fn of_two_at_one_place_only_the_upper_one_goes() {
        let entries = [("/root", "nfs"), ("/root/dev", "devfs"), ("/root", "nfs")];
        assert_eq!(order(&entries, "/root"), [2]);
    }

    #[test]
    fn a_mount_that_others_cover_goes_after_them() {
        let entries = [("/root", "nfs"), ("/root", "smbfs"), ("/root/dev", "devfs"), ("/other", "nfs")];
        assert_eq!(numbers(&to_unmount_one(&table(&entries), &0)), [2, 1, 0]);
        assert_eq!(numbers(&to_unmount_one(&table(&entries), &9)), [0; 0]);
    }

    #[test]
    fn where_nothing_is_mounted_nothing_goes() {
        assert_eq!(order(&[("/root", "nfs"), ("/root/other/deep", "devfs")], "/root/other"), [0; 0]);
    }

    #[test]
    fn a_servers_mounts_are_found_by_what_it_offered() {
        let table = table(&[("/one", "nfs"), ("/two", "nfs"), ("/one", "smbfs"), ("/one", "nfs")]);
        let found = |device: &str| served(&table, device).map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(found("127.0.0.1:/one"), [3, 0]);
        assert_eq!(found("127.0.0.1:/"), [0; 0]);
    }

    #[test]
    fn a_place_is_found_however_its_name_is_typed() {
        let table =
            table(&[("/Users", "apfs"), ("/p/View", "nfs"), ("/p/caf\u{e9}", "nfs"), ("/q/x", "nfs")]);
        let found = |parent: &str, name: &str, case_sensitive| {
            spelling(&table, parent.as_ref(), name.as_ref(), case_sensitive).map(Path::to_path_buf)
        };
        for (name, case_sensitive, place) in [
            ("View", true, Some("/p/View")),
            ("VIEW", true, None),
            ("VIEW", false, Some("/p/View")),
            ("cafe\u{301}", true, Some("/p/caf\u{e9}")),
            ("CAF\u{c9}", true, None),
            ("CAFE\u{301}", false, Some("/p/caf\u{e9}")),
            ("x", false, None),
        ] {
            assert_eq!(found("/p", name, case_sensitive), place.map(Into::into), "{name}");
        }
    }

    #[test]
    fn of_two_names_that_differ_in_case_the_typed_one_is_meant() {
        let table = table(&[("/p/view", "nfs"), ("/p/View", "nfs")]);
        let found = spelling(&table, "/p".as_ref(), "view".as_ref(), false);
        assert_eq!(found, Some(Path::new("/p/view")));
    }

    #[test]
    fn flags_that_nobody_asked_for_are_found_out() {
        // As `nobrowse,nosuid,nodev` gives them, and what the kernel adds.
        let good = 0x0410_0018;
        assert_eq!(fault(good), None);
        let faults = [good | 1, good | 4, good & !8, good & !16, good | 32, good | 0x20_0000].map(fault);
        let faults: Vec<String> = faults.into_iter().flatten().collect();
        insta::assert_snapshot!(faults.join("\n"), @r#"
        it is "rdonly", which was not asked for
        it is "noexec", which was not asked for
        it is not "nosuid", as was asked for
        it is not "nodev", as was asked for
        it is "union", which was not asked for
        it is "noowners", which was not asked for
        "#);
    }
}
