//! File ids: the host's inode numbers, the same in every view.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nfs_server::view::{Access, Entry, View, ViewSpec};

fn graft(at: &str, source: &str) -> Entry {
    Entry::Graft { at: at.into(), source: source.into(), access: Access::Ro, optional: false }
}

fn open(entries: Vec<Entry>) -> View {
    View::open(&ViewSpec { entries }, None).unwrap()
}

fn fileid(view: &View, path: &str) -> u64 {
    view.find(path.as_ref()).unwrap().attributes.fileid
}

#[test]
fn they_are_the_hosts_inode_numbers_where_most_of_the_view_lies() {
    let host = tempfile::tempdir().unwrap();
    let source = host.path().to_str().unwrap();
    for index in 0..10 {
        fs::write(host.path().join(index.to_string()), "").unwrap();
    }
    let view = open(vec![graft("/a", source), graft("/b", source)]);
    for index in 0..10 {
        let inode = fs::metadata(host.path().join(index.to_string())).unwrap().ino();
        assert_eq!(fileid(&view, &format!("/a/{index}")), inode);
        assert_eq!(fileid(&view, &format!("/b/{index}")), inode);
    }
}

#[test]
fn files_of_other_devices_never_share_a_number_with_them() {
    let host = tempfile::tempdir().unwrap();
    let source = host.path().to_str().unwrap();
    // The kernel's own tree is a device that every Linux has.
    let view = open(vec![graft("/a", source), graft("/b", source), graft("/proc", "/proc")]);
    let other = fileid(&view, "/proc/version");
    assert_ne!(other, fs::metadata("/proc/version").unwrap().ino());
    assert_eq!(other >> 63, 1, "a range of their own");
    assert_eq!(fileid(&view, "/a") >> 62, 0);
}

#[test]
fn what_only_the_view_has_gets_the_same_number_in_every_view() {
    let inline = |at: &str| Entry::Inline { at: at.into(), contents: String::new(), mode: 0o444 };
    let one = open(vec![inline("/etc/passwd"), inline("/etc/group")]);
    let two = open(vec![graft("/proc", "/proc"), inline("/etc/passwd")]);
    assert_eq!(fileid(&one, "/etc/passwd"), fileid(&two, "/etc/passwd"));
    assert_eq!(fileid(&one, "/etc"), fileid(&two, "/etc"));
    assert_ne!(fileid(&one, "/etc/passwd"), fileid(&one, "/etc/group"));
    assert_ne!(fileid(&one, "/"), 0);
}
