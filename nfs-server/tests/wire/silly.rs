//! Files that are deleted while open: their client renames them to `.nfs` and 24 hexadecimal digits, and removes that
//! name when they are closed.

use std::fs;

use nfs3_types::nfs3::{mknoddata3, nfs_fh3, nfsstat3};

use crate::calls::{mode, size};
use crate::client::{Client, refused};
use crate::world::World;

const SILLY: &[u8] = b".nfs0123456789abcdef01234567";
const OTHER: &[u8] = b".nfs0123456789abcdef01234568";

/// A directory of the builder with an open file that was deleted: both handles.
fn deleted_while_open(world: &World) -> (nfs_fh3, nfs_fh3) {
    let mut client = world.builder();
    client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
    let (directory, file) = (world.at("build/dir"), world.builders_file("build/dir/file", b"data", 0o644));
    client.rename((&directory, b"file"), (&directory, SILLY)).unwrap();
    (directory, file)
}

fn names(client: &mut Client, directory: &nfs_fh3) -> Vec<String> {
    let listed = client.readdir(directory, 0, 4096).unwrap().reply.entries.0;
    listed.iter().map(|entry| String::from_utf8_lossy(&entry.name.0).into_owned()).collect()
}

#[test]
fn their_names_are_not_listed_and_can_be_looked_up() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let mut client = world.builder();
    assert_eq!(names(&mut client, &directory), [".", ".."]);
    assert_eq!(client.readdirplus(&directory, 0, 4096).unwrap().reply.entries.0.len(), 2);
    assert_eq!(client.lookup(&directory, SILLY).unwrap().object, file);
    client.remove(&directory, SILLY).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn names_that_only_look_like_theirs_are_listed_and_keep_a_directory() {
    let world = World::new();
    let mut client = world.root();
    client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
    let directory = world.at("build/dir");
    for name in [".nfs", ".nfs0123", ".nfs0123456789abcdef0123456g", ".nfs0123456789abcdef012345678", ".nfsx"]
    {
        let path = format!("build/dir/{name}");
        world.builders_file(&path, b"", 0o644);
        assert_eq!(names(&mut client, &directory), [".", "..", name]);
        assert_eq!(refused(client.rmdir(&world.at("build"), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
        client.remove(&directory, name.as_bytes()).unwrap();
    }
}

#[test]
fn a_directory_that_holds_only_them_goes_and_the_files_stay_open() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let mut client = world.builder();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert!(!world.host("build/dir").exists());
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.write(&file, 4, b" and more").unwrap();
    client.setattr(&file, size(8)).unwrap();
    client.setattr(&file, mode(0o400)).unwrap();
    let attributes = client.getattr(&file).unwrap();
    assert_eq!((attributes.size, attributes.mode), (8, 0o400));
    assert_eq!(client.read(&file, 0, 99).unwrap().data.to_vec(), b"data and");
    client.commit(&file).unwrap();
    client.remove(&directory, SILLY).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(refused(client.remove(&directory, SILLY)), nfsstat3::NFS3ERR_STALE, "it is released once");
}

#[test]
fn a_new_file_in_the_old_place_is_another_file() {
    let world = World::new();
    let (_, file) = deleted_while_open(&world);
    let mut client = world.builder();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
    let new = world.builders_file("build/dir/file", b"new", 0o644);
    assert_ne!(new, file);
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
}

#[test]
fn a_file_with_another_name_elsewhere_keeps_its_handle() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let mut client = world.builder();
    client.link(&file, &world.at("build"), b"kept").unwrap();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(world.at("build/kept"), file);
    client.write(&file, 0, b"DATA").unwrap();
    assert_eq!(fs::read(world.host("build/kept")).unwrap(), b"DATA");
    client.remove(&directory, SILLY).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"DATA");
    client.write(&file, 0, b"more").unwrap();
    assert_eq!(fs::read(world.host("build/kept")).unwrap(), b"more");
}

#[test]
fn a_file_that_loses_its_other_name_stays_open_by_the_first() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let (mut client, build) = (world.builder(), world.at("build"));
    client.link(&file, &build, b"other").unwrap();
    client.rmdir(&build, b"dir").unwrap();
    client.remove(&build, b"other").unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.remove(&directory, SILLY).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_file_that_is_open_by_two_names_stays_until_the_second_is_closed() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let mut client = world.builder();
    client.link(&file, &directory, OTHER).unwrap();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    client.remove(&directory, SILLY).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.remove(&directory, OTHER).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn pipes_sockets_and_links_that_are_open_do_not_keep_a_directory_either() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    let mut client = world.builder();
    for (name, what) in [
        (OTHER, mknoddata3::NF3FIFO(mode(0o600))),
        (b".nfsaaaaaaaaaaaaaaaaaaaaaaaa", mknoddata3::NF3SOCK(mode(0o600))),
    ] {
        client.mknod(&directory, name, what).unwrap();
    }
    let pipe = client.lookup(&directory, OTHER).unwrap().object;
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(client.getattr(&pipe).unwrap().mode, 0o600);
    client.remove(&directory, OTHER).unwrap();
    assert_eq!(refused(client.getattr(&pipe)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(client.getattr(&file).unwrap().size, 4);
}

#[test]
fn a_directory_in_the_way_of_a_rename_may_hold_them() {
    let world = World::new();
    let (_, file) = deleted_while_open(&world);
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"new", mode(0o755)).unwrap();
    client.rename((&build, b"new"), (&build, b"dir")).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
}

#[test]
fn anything_else_in_the_directory_keeps_it_and_them() {
    let world = World::new();
    let (directory, file) = deleted_while_open(&world);
    world.builders_file("build/dir/other", b"", 0o644);
    let mut client = world.builder();
    assert_eq!(refused(client.rmdir(&world.at("build"), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
    assert_eq!(client.lookup(&directory, SILLY).unwrap().object, file);
}

#[test]
fn what_is_still_open_when_the_server_stops_is_deleted_then() {
    let world = World::new();
    deleted_while_open(&world);
    let left = world.host("build/dir");
    assert_eq!(fs::read_dir(&left).unwrap().count(), 1);
    let World { server, host } = world;
    server.stop();
    assert_eq!(fs::read_dir(&left).unwrap().count(), 0);
    drop(host);
}
