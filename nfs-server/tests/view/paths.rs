//! `find` and `read_file`: paths are followed inside the view, and nowhere else.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use tempfile::TempDir;

use nfs_server::view::{Access, Entry, Error, FileType, View, ViewSpec};

/// A view with a graft at `/package` that is full of links, and an `/etc/passwd` of its own.
fn view() -> (View, TempDir) {
    let host = tempfile::tempdir().unwrap();
    let package = host.path().join("package");
    fs::create_dir_all(package.join("bin")).unwrap();
    fs::write(host.path().join("outside"), "of the host").unwrap();
    fs::write(package.join("bin/tool"), "tool").unwrap();
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("out", "../../../../../../etc/passwd"),
        ("beside", "../outside"),
        ("host", host.path().join("outside").to_str().unwrap()),
        ("tool", "bin/tool"),
        ("twice", "tool"),
        ("dir", "/package/bin"),
        ("loop", "loop"),
        ("nowhere", "/nowhere/at/all"),
    ] {
        symlink(target, package.join(name)).unwrap();
    }
    let entries = vec![
        Entry::Graft { at: "/package".into(), source: package, access: Access::Ro, optional: false },
        Entry::Inline { at: "/etc/passwd".into(), contents: "of the view".into(), mode: 0o444 },
        Entry::Symlink { at: "/bin".into(), target: "package/bin".into() },
    ];
    (View::open(&ViewSpec { entries }, None).unwrap(), host)
}

#[test]
fn an_absolute_link_leads_to_the_views_own_file() {
    let (view, _host) = view();
    for path in ["/package/absolute", "/package/out", "/package/dir/../absolute"] {
        assert_eq!(view.read_file(path.as_ref()).unwrap(), b"of the view", "{path}");
        assert_eq!(view.find(path.as_ref()).unwrap().path, Path::new("/etc/passwd"));
    }
}

#[test]
fn links_to_what_only_the_host_has_lead_nowhere() {
    let (view, _host) = view();
    for path in
        ["/package/beside", "/package/host", "/package/nowhere", "/usr", "/package/none", "/etc/group"]
    {
        assert_eq!(view.find(path.as_ref()).unwrap_err(), Error::NotFound, "{path}");
        assert_eq!(view.read_file(path.as_ref()).unwrap_err(), Error::NotFound, "{path}");
    }
}

#[test]
fn the_path_that_was_found_has_no_links_in_it() {
    let (view, _host) = view();
    for path in [
        "/package/twice",
        "/package/dir/tool",
        "/bin/tool",
        "/bin/../bin/./tool",
        "/../package/bin/tool",
        "package/tool",
    ] {
        let found = view.find(path.as_ref()).unwrap();
        assert_eq!(found.path, Path::new("/package/bin/tool"), "{path}");
        assert_eq!((found.attributes.kind, found.attributes.size), (FileType::Regular, 4));
        assert_eq!(view.read_file(path.as_ref()).unwrap(), b"tool");
    }
    assert_eq!(view.find("/".as_ref()).unwrap().path, Path::new("/"));
    assert_eq!(view.find("/../..".as_ref()).unwrap().path, Path::new("/"));
}

#[test]
fn links_that_go_round_end_after_forty() {
    let (view, _host) = view();
    assert_eq!(view.find("/package/loop".as_ref()).unwrap_err(), Error::Invalid);
}

#[test]
fn nothing_is_below_a_file() {
    let (view, _host) = view();
    for path in ["/etc/passwd/x", "/package/bin/tool/x", "/package/bin/tool/..", "/package/absolute/x"] {
        assert_eq!(view.find(path.as_ref()).unwrap_err(), Error::NotDirectory, "{path}");
    }
}

#[test]
fn only_regular_files_are_read() {
    let (view, _host) = view();
    assert_eq!(view.read_file("/package".as_ref()).unwrap_err(), Error::IsDirectory);
    assert_eq!(view.read_file("/".as_ref()).unwrap_err(), Error::IsDirectory);
}

#[test]
fn a_file_of_more_than_256_mib_is_not_read_whole() {
    let (view, host) = view();
    let file = fs::File::create(host.path().join("package/large")).unwrap();
    file.set_len((256 << 20) + 1).unwrap();
    assert_eq!(view.read_file("/package/large".as_ref()).unwrap_err(), Error::TooLarge);
}

#[test]
fn a_link_may_begin_where_it_lies() {
    let (view, host) = view();
    symlink("./bin/./tool", host.path().join("package/here")).unwrap();
    assert_eq!(view.find("/package/here".as_ref()).unwrap().path, Path::new("/package/bin/tool"));
    assert_eq!(view.find("./package/tool".as_ref()).unwrap().path, Path::new("/package/bin/tool"));
}

#[test]
fn what_an_entry_shows_of_the_host_is_known_by_its_numbers() {
    let (view, host) = view();
    let package = fs::metadata(host.path().join("package")).unwrap();
    assert_eq!(view.host_identity("/package".as_ref()), Some((package.dev(), package.ino())));
    for path in ["/", "/etc", "/etc/passwd", "/bin", "/package/bin", "/none"] {
        assert_eq!(view.host_identity(path.as_ref()), None, "{path}");
    }
}

#[test]
fn a_link_of_the_host_that_is_an_entry_is_not_what_it_leads_to() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("file"), "").unwrap();
    symlink("file", host.path().join("link")).unwrap();
    let graft = |name: &str| Entry::Graft {
        at: Path::new("/deep").join(name),
        source: host.path().join(name),
        access: Access::Ro,
        optional: false,
    };
    let view = View::open(&ViewSpec { entries: vec![graft("file"), graft("link")] }, None).unwrap();
    let file = fs::metadata(host.path().join("file")).unwrap();
    assert_eq!(view.host_identity("/deep/file".as_ref()), Some((file.dev(), file.ino())));
    assert_eq!(view.host_identity("/deep/link".as_ref()), None);
}

#[test]
fn forty_links_are_followed_and_no_more() {
    let (view, host) = view();
    for number in 1..=41 {
        let target = if number == 1 { "bin/tool".into() } else { format!("link-{}", number - 1) };
        symlink(target, host.path().join(format!("package/link-{number}"))).unwrap();
    }
    assert_eq!(view.read_file("/package/link-40".as_ref()).unwrap(), b"tool");
    assert_eq!(view.find("/package/link-41".as_ref()).unwrap_err(), Error::Invalid);
}
