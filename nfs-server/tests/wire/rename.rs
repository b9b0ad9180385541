//! RENAME.

use std::fs;

use nfs_server::view::HostCapabilities;
use nfs3_types::nfs3::nfsstat3;

use crate::calls::mode;
use crate::client::refused;
use crate::world::{World, assert_changed};

#[test]
fn a_file_moves_with_its_handle_and_both_directories_tell() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    let (directory, file) = (world.at("build/dir"), world.builders_file("build/old", b"data", 0o644));
    let before = [client.getattr(&build).unwrap(), client.getattr(&directory).unwrap()];
    let done = client.rename((&build, b"old"), (&directory, b"new")).unwrap();
    assert_changed(&done.fromdir_wcc, &before[0], &world.metadata("build"));
    assert_changed(&done.todir_wcc, &before[1], &world.metadata("build/dir"));
    assert!(!world.host("build/old").exists());
    assert_eq!(world.at("build/dir/new"), file);
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
}

#[test]
fn what_had_the_name_is_gone() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let new = world.builders_file("build/new", b"new", 0o644);
    let old = world.builders_file("build/old", b"old", 0o644);
    client.rename((&build, b"new"), (&build, b"old")).unwrap();
    assert_eq!(fs::read(world.host("build/old")).unwrap(), b"new");
    assert_eq!(refused(client.getattr(&old)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(client.getattr(&new).unwrap().size, 3);
}

#[test]
fn handles_below_a_directory_that_moves_stay_good() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"a", mode(0o755)).unwrap();
    client.mkdir(&world.at("build/a"), b"b", mode(0o755)).unwrap();
    client.mkdir(&build, b"c", mode(0o755)).unwrap();
    let file = world.builders_file("build/a/b/file", b"data", 0o644);
    let (b, c) = (world.at("build/a/b"), world.at("build/c"));
    client.rename((&build, b"a"), (&c, b"moved")).unwrap();
    assert_eq!(client.getattr(&file).unwrap().size, 4);
    assert_eq!(client.lookup(&b, b"file").unwrap().object, file);
    assert_eq!(client.lookup(&world.at("build/c/moved"), b"..").unwrap().object, c);
}

#[test]
fn two_names_of_one_file_both_stay() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let file = world.builders_file("build/one", b"", 0o644);
    client.link(&file, &build, b"two").unwrap();
    client.rename((&build, b"one"), (&build, b"two")).unwrap();
    client.rename((&build, b"one"), (&build, b"one")).unwrap();
    assert!(world.host("build/one").exists() && world.host("build/two").exists());
}

#[test]
fn between_parts_of_the_view_programs_are_told_to_copy() {
    let world = World::new();
    let mut client = world.root();
    world.builders_file("build/file", b"", 0o666);
    for (from, name, to) in [
        ("build", "file", "store"),
        ("build", "file", "writable"),
        ("build", "file", "package"),
        ("build", "file", ""),
        ("package", "hello", "build"),
        ("store/package", "hello", "package"),
        ("store/package", "hello", "store"),
        ("etc", "passwd", "build"),
        ("store", "package", "store"),
        ("writable", "note", "build"),
    ] {
        let done = client.rename((&world.at(from), name.as_bytes()), (&world.at(to), b"new"));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_XDEV, "{from}/{name} to {to}");
    }
    assert!(world.host("build/file").exists() && world.host("package/hello").exists());
}

#[test]
fn nothing_moves_within_a_read_only_place_for_root_either() {
    let world = World::new();
    for (from, name, to) in [
        ("package", "hello", "package"),
        ("package", "hello", "package/deep"),
        ("", "file", ""),
        ("etc", "passwd", "etc"),
    ] {
        let done = world.root().rename((&world.at(from), name.as_bytes()), (&world.at(to), b"new"));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{from}/{name}");
    }
}

#[test]
fn nothing_takes_the_name_of_an_entry() {
    let world = World::new();
    world.builders_file("store/file", b"", 0o666);
    let store = world.at("store");
    let done = world.root().rename((&store, b"file"), (&store, b"package"));
    assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS);
}

#[test]
fn types_that_do_not_fit_are_refused() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    client.mkdir(&build, b"full", mode(0o777)).unwrap();
    world.builders_file("build/full/file", b"", 0o644);
    let file = world.builders_file("build/file", b"", 0o644);
    let mut rename = |from: &[u8], to: &[u8]| refused(client.rename((&build, from), (&build, to)));
    assert_eq!(rename(b"file", b"dir"), nfsstat3::NFS3ERR_ISDIR);
    assert_eq!(rename(b"dir", b"file"), nfsstat3::NFS3ERR_NOTDIR);
    assert_eq!(rename(b"dir", b"full"), nfsstat3::NFS3ERR_NOTEMPTY);
    assert_eq!(rename(b"none", b"file"), nfsstat3::NFS3ERR_NOENT);
    for name in [&b"."[..], b".."] {
        assert_eq!(rename(name, b"x"), nfsstat3::NFS3ERR_INVAL);
        assert_eq!(rename(b"file", name), nfsstat3::NFS3ERR_INVAL);
    }
    let (dir, done) = (world.at("build/dir"), world.at("build"));
    assert_eq!(refused(client.rename((&done, b"dir"), (&dir, b"below"))), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(refused(client.rename((&done, b"dir"), (&file, b"x"))), nfsstat3::NFS3ERR_NOTDIR);
}

#[test]
fn an_empty_directory_gives_way_to_another() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"one", mode(0o755)).unwrap();
    client.mkdir(&build, b"two", mode(0o755)).unwrap();
    let (one, two) = (world.at("build/one"), world.at("build/two"));
    client.rename((&build, b"one"), (&build, b"two")).unwrap();
    assert_eq!(world.at("build/two"), one);
    assert_eq!(refused(client.getattr(&two)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn sticky_directories_and_modes_are_kept() {
    let world = World::new();
    let (mut other, build) = (world.root(), world.at("build"));
    other.become_user(2000, 2000, &[]);
    world.builders_file("build/file", b"", 0o666);
    world.builders_file("store/file", b"", 0o666);
    other.create(&build, b"own", crate::world::guarded(0o600)).unwrap();
    world.root().setattr(&build, mode(0o1777)).unwrap();
    assert_eq!(refused(other.rename((&build, b"file"), (&build, b"new"))), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(other.rename((&build, b"own"), (&build, b"file"))), nfsstat3::NFS3ERR_PERM);
    other.rename((&build, b"own"), (&build, b"new")).unwrap();
    let store = world.at("store");
    assert_eq!(refused(other.rename((&store, b"file"), (&store, b"new"))), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn a_directory_moves_to_another_by_those_alone_who_may_write_to_it() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    world.root().mkdir(&build, b"roots", mode(0o755)).unwrap();
    client.mkdir(&build, b"other", mode(0o755)).unwrap();
    let other = world.at("build/other");
    let moved = client.rename((&build, b"roots"), (&other, b"moved"));
    assert_eq!(refused(moved), nfsstat3::NFS3ERR_ACCES, "its `..` would change");
    client.rename((&build, b"roots"), (&build, b"renamed")).unwrap();
    world.root().setattr(&world.at("build/renamed"), mode(0o757)).unwrap();
    client.rename((&build, b"renamed"), (&other, b"moved")).unwrap();
}

#[test]
fn two_names_of_one_file_both_stay_whether_case_matters_or_not() {
    for case_sensitive in [true, false] {
        let capabilities =
            HostCapabilities { case_sensitive: Some(case_sensitive), ..HostCapabilities::default() };
        let world = World::on(capabilities);
        let (mut client, build) = (world.builder(), world.at("build"));
        let other: &[u8] = if case_sensitive { b"ONE" } else { b"two" };
        let file = world.builders_file("build/one", b"", 0o644);
        client.link(&file, &build, other).unwrap();
        // The directory's names are known from now on.
        let before = client.readdir(&build, 0, 4096).unwrap().reply.entries.0.len();
        client.rename((&build, b"one"), (&build, other)).unwrap();
        assert_eq!(client.readdir(&build, 0, 4096).unwrap().reply.entries.0.len(), before);
        for name in [b"one", other] {
            assert_eq!(client.lookup(&build, name).unwrap().object, file);
        }
    }
}
