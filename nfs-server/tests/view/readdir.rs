//! Listings of fixed grafts, on hosts where names are asked for one by one and where many are asked for at once.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nfs_server::view::{
    Access, Attributes, Blocking, Caller, Entry, Error, HostCapabilities, View, ViewOptions, ViewSpec,
};

/// More than are asked for at once, and not a multiple of it.
const FILES: usize = 300;
/// Cookie behind `.` and `..`, whose times differ between views.
const DOTS: u64 = 2;

fn furnish(host: &Path) {
    fs::create_dir(host.join("directory")).unwrap();
    symlink("nowhere", host.join("link")).unwrap();
    for number in 0..FILES {
        let path = host.join(format!("file-{number}"));
        fs::write(&path, vec![b'x'; number]).unwrap();
        let mode = if number % 3 == 0 { 0o555 } else { 0o444 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn open(host: &Path, cheap_syscalls: bool) -> View {
    let graft = Entry::Graft {
        at: "/store".into(),
        source: host.to_path_buf(),
        access: Access::Fixed,
        optional: false,
    };
    let capabilities = HostCapabilities { cheap_syscalls, ..HostCapabilities::default() };
    let options = ViewOptions { capabilities, ..ViewOptions::default() };
    View::open_with(&ViewSpec { entries: vec![graft] }, options).unwrap()
}

/// Cookie, name and attributes of what lies behind a cookie.
fn list(view: &View, cookie: u64, most: usize) -> Vec<(u64, String, Attributes)> {
    let root = Caller { uid: 0, gid: 0, groups: &[] };
    let (store, _) = view.lookup(&view.root(), b"store", root).unwrap();
    let mut listed = Vec::new();
    view.readdir(&store, cookie, root, Blocking::Allowed, &mut |found| {
        if listed.len() == most {
            return false;
        }
        listed.push((found.cookie, String::from_utf8_lossy(found.name).into_owned(), found.attributes));
        true
    })
    .unwrap();
    listed
}

#[test]
fn names_asked_for_at_once_are_told_as_those_asked_for_one_by_one() {
    let host = tempfile::tempdir().unwrap();
    furnish(host.path());
    let (single, many) = (open(host.path(), true), open(host.path(), false));
    let expected = list(&single, DOTS, usize::MAX);
    assert_eq!(expected.len(), 2 + FILES);
    for _ in 0..2 {
        assert!(list(&many, DOTS, usize::MAX) == expected);
    }
    let (mut pages, mut cookie) = (Vec::new(), DOTS);
    let paged = open(host.path(), false);
    while pages.len() < expected.len() {
        pages.extend(list(&paged, cookie, 7));
        cookie = pages.last().map_or(0, |(cookie, ..)| *cookie);
    }
    assert!(pages == expected);
}

#[test]
fn a_name_that_the_host_lost_is_left_out() {
    for cheap_syscalls in [true, false] {
        let host = tempfile::tempdir().unwrap();
        furnish(host.path());
        let view = open(host.path(), cheap_syscalls);
        let first = list(&view, DOTS, 10);
        // The last name, far behind those that were asked for.
        fs::remove_file(host.path().join("link")).unwrap();
        let rest = list(&view, first.last().unwrap().0, usize::MAX);
        assert_eq!(first.len() + rest.len(), 1 + FILES);
        assert!(first.iter().chain(&rest).all(|(_, name, _)| name != "link"));
    }
}

#[test]
fn no_name_is_told_after_one_that_was_not_taken() {
    let host = tempfile::tempdir().unwrap();
    furnish(host.path());
    let view = open(host.path(), true);
    let (store, _) = view.lookup(&view.root(), b"store", Caller::ROOT).unwrap();
    // Of the root there are three names, in the store 304.
    for (directory, most) in [(view.root(), 0..3), (store, 0..5)] {
        for most in most {
            let mut told = 0;
            let complete = view.readdir(&directory, 0, Caller::ROOT, Blocking::Allowed, &mut |_| {
                told += 1;
                told <= most
            });
            assert_eq!((complete, told), (Ok(false), most + 1));
        }
    }
}

#[test]
fn a_large_directory_is_not_read_by_those_who_may_not_wait() {
    const LARGE: u64 = 256 << 10;
    let host = tempfile::tempdir().unwrap();
    let (small, large) = (host.path().join("small"), host.path().join("large"));
    for directory in [&small, &large] {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("file"), "").unwrap();
    }
    let mut names = 3;
    while fs::metadata(&large).unwrap().len() < LARGE {
        assert!(names < 20_000, "no directory gets so large");
        fs::hard_link(large.join("file"), large.join(format!("{names:0>200}"))).unwrap();
        names += 1;
    }
    let graft =
        Entry::Graft { at: "/tree".into(), source: host.path().into(), access: Access::Ro, optional: false };
    let view = View::open(&ViewSpec { entries: vec![graft] }, None).unwrap();
    let (tree, _) = view.lookup(&view.root(), b"tree", Caller::ROOT).unwrap();
    let list = |name: &[u8], blocking| {
        let (directory, _) = view.lookup(&tree, name, Caller::ROOT).unwrap();
        let mut told = 0;
        let listed = view.readdir(&directory, 0, Caller::ROOT, blocking, &mut |_| {
            told += 1;
            true
        });
        listed.map(|_| told)
    };
    assert_eq!(list(b"small", Blocking::Never), Ok(3));
    assert_eq!(list(b"large", Blocking::Never), Err(Error::WouldBlock));
    assert_eq!(list(b"large", Blocking::Allowed), Ok(names));
}
