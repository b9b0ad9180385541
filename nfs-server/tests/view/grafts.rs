//! Grafts: what they show of the host, and what is left out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nfs_server::view::{Access, Blocking, Caller, Entry, Error, FileType, View, ViewSpec};

fn graft(at: &str, source: &Path, optional: bool) -> Entry {
    Entry::Graft { at: at.into(), source: source.into(), access: Access::Ro, optional }
}

fn open(entries: Vec<Entry>) -> View {
    View::open(&ViewSpec { entries }, None).unwrap()
}

fn names(view: &View, path: &str) -> Vec<String> {
    let mut node = view.root();
    for name in Path::new(path).iter().skip(1) {
        node = view.lookup(&node, name.as_encoded_bytes(), Caller::ROOT).unwrap().0;
    }
    let mut names = Vec::new();
    let take = &mut |listed: &nfs_server::view::DirEntry<'_>| {
        names.push(String::from_utf8(listed.name.to_vec()).unwrap());
        true
    };
    assert!(view.readdir(&node, 0, Caller::ROOT, Blocking::Allowed, take).unwrap());
    names.split_off(2)
}

#[test]
fn an_optional_graft_without_a_source_leaves_no_trace() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("there"), "here").unwrap();
    let view = open(vec![
        graft("/opt/deep/missing", &host.path().join("missing"), true),
        graft("/there", &host.path().join("there"), true),
    ]);
    assert_eq!(names(&view, "/"), ["there"]);
    assert_eq!(view.find("/opt".as_ref()).unwrap_err(), Error::NotFound);
    assert_eq!(view.read_file("/there".as_ref()).unwrap(), b"here");
}

#[test]
fn a_link_is_shown_as_a_link_even_if_it_leads_nowhere() {
    let host = tempfile::tempdir().unwrap();
    symlink("/nowhere", host.path().join("link")).unwrap();
    let view = open(vec![graft("/link", &host.path().join("link"), false)]);
    let (node, attributes) = view.lookup(&view.root(), b"link", Caller::ROOT).unwrap();
    assert_eq!(attributes.kind, FileType::Symlink);
    assert_eq!(view.read_link(&node).unwrap(), b"/nowhere");
}

#[test]
fn links_on_the_way_to_a_source_are_the_declarers_business() {
    let host = tempfile::tempdir().unwrap();
    fs::create_dir(host.path().join("real")).unwrap();
    fs::write(host.path().join("real/file"), "text").unwrap();
    symlink("real", host.path().join("way")).unwrap();
    let view = open(vec![graft("/file", &host.path().join("way/file"), false)]);
    assert_eq!(view.read_file("/file".as_ref()).unwrap(), b"text");
    symlink("/", host.path().join("elsewhere")).unwrap();
    fs::rename(host.path().join("elsewhere"), host.path().join("way")).unwrap();
    assert_eq!(view.read_file("/file".as_ref()).unwrap(), b"text", "they are followed once");
}

#[test]
fn the_whole_host_may_be_the_root() {
    let view = open(vec![graft("/", Path::new("/"), false)]);
    assert_eq!(view.find("/etc/..".as_ref()).unwrap().path, Path::new("/"));
    assert_eq!(view.read_file("/etc/passwd".as_ref()).unwrap(), fs::read("/etc/passwd").unwrap());
}

#[test]
fn nothing_of_a_read_only_graft_can_be_had_for_writing() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("file"), "").unwrap();
    let view = open(vec![graft("/dir", host.path(), false)]);
    let (directory, _) = view.lookup(&view.root(), b"dir", Caller::ROOT).unwrap();
    let (file, _) = view.lookup(&directory, b"file", Caller::ROOT).unwrap();
    for node in [view.root(), directory, file] {
        assert!(matches!(view.writable(node), Err(Error::ReadOnly)));
    }
}
