//! REMOVE.

use std::fs;

use nfs3_types::nfs3::{mknoddata3, nfsstat3};

use crate::calls::mode;
use crate::client::refused;
use crate::world::{World, assert_changed};

#[test]
fn a_name_goes_and_the_directory_tells() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.symlink(&build, b"link", b"/etc/passwd").unwrap();
    client.mknod(&build, b"pipe", mknoddata3::NF3FIFO(mode(0o600))).unwrap();
    world.builders_file("build/file", b"", 0o000);
    for name in ["link", "pipe", "file"] {
        let before = client.getattr(&build).unwrap();
        let done = client.remove(&build, name.as_bytes()).unwrap();
        assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
        assert!(world.host(&format!("build/{name}")).symlink_metadata().is_err());
        assert_eq!(refused(client.lookup(&build, name.as_bytes())), nfsstat3::NFS3ERR_NOENT);
    }
}

#[test]
fn a_hard_link_that_stays_keeps_the_file_and_its_handle() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let file = world.builders_file("build/one", b"data", 0o644);
    client.link(&file, &build, b"two").unwrap();
    client.remove(&build, b"one").unwrap();
    assert_eq!(world.at("build/two"), file);
    assert_eq!(client.getattr(&file).unwrap().nlink, 1);
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
}

#[test]
fn directories_are_left_to_rmdir() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    assert_eq!(refused(client.remove(&build, b"dir")), nfsstat3::NFS3ERR_ISDIR);
    for name in [&b"."[..], b".."] {
        assert_eq!(refused(client.remove(&build, name)), nfsstat3::NFS3ERR_INVAL);
    }
}

#[test]
fn what_is_not_there_cannot_go_and_the_directory_tells_that_too() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    let before = client.getattr(&build).unwrap();
    let (status, body) = client.remove(&build, b"none").unwrap_err();
    assert_eq!(status, nfsstat3::NFS3ERR_NOENT);
    assert_changed(&body.dir_wcc, &before, &world.metadata("build"));
}

#[test]
fn nothing_goes_outside_writable_places_for_root_either() {
    let world = World::new();
    for (directory, name) in [
        ("package", "hello"),
        ("store/package", "hello"),
        ("etc", "passwd"),
        ("", "file"),
        ("", "none"),
        ("store", "package"),
    ] {
        let done = world.root().remove(&world.at(directory), name.as_bytes());
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{directory}/{name}");
    }
    assert_eq!(fs::read(world.host("package/hello")).unwrap(), b"hello\n");
}

#[test]
fn whom_the_mode_refuses_anyway_hears_that_and_not_that_the_place_is_read_only() {
    let world = World::new();
    for (directory, name) in [("package", "hello"), ("etc", "passwd"), ("", "file")] {
        let done = world.builder().remove(&world.at(directory), name.as_bytes());
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ACCES, "{directory}/{name}");
    }
}

#[test]
fn in_a_sticky_directory_only_the_owners_and_root_take_names_away() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    world.root().setattr(&build, mode(0o1777)).unwrap();
    world.builders_file("build/a", b"", 0o666);
    world.builders_file("build/b", b"", 0o666);
    client.become_user(2000, 2000, &[]);
    assert_eq!(refused(client.remove(&build, b"a")), nfsstat3::NFS3ERR_PERM);
    world.builder().remove(&build, b"a").unwrap();
    world.root().remove(&build, b"b").unwrap();
}

#[test]
fn the_directorys_mode_decides() {
    let world = World::new();
    world.builders_file("store/file", b"", 0o666);
    let done = world.builder().remove(&world.at("store"), b"file");
    assert_eq!(refused(done), nfsstat3::NFS3ERR_ACCES);
    let done = world.builder().remove(&world.at("store/file"), b"x");
    assert_eq!(refused(done), nfsstat3::NFS3ERR_NOTDIR);
}
