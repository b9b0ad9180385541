//! Files that are deleted while open: their client looks for a name of its own making, renames them to it when that is free,
//! and removes it when they are closed. Files of such a name that it did not make so are files like all others.

use std::fs;

use nfs_server::view::HostCapabilities;
use nfs3_types::nfs3::{mknoddata3, nfs_fh3, nfsstat3};

use crate::calls::{mode, size};
use crate::client::{Client, refused};
use crate::world::{World, made, unchecked};

/// A name as a source tree may have one: nobody's leftover.
const STRANGE: &[u8] = b".nfs000000000076202f00000088";

/// The name that Linux's client gives to a file, the one of this number.
fn silly_name(client: &mut Client, file: &nfs_fh3, number: u32) -> Vec<u8> {
    let fileid = client.getattr(file).unwrap().fileid;
    format!(".nfs{fileid:016x}{number:08x}").into_bytes()
}

/// Removes a name as Linux's client does while the file is open; answers the name that it keeps.
fn remove_open(client: &mut Client, directory: &nfs_fh3, name: &[u8], number: u32) -> Vec<u8> {
    let file = client.lookup(directory, name).unwrap().object;
    let silly = silly_name(client, &file, number);
    assert_eq!(refused(client.lookup(directory, &silly)), nfsstat3::NFS3ERR_NOENT);
    client.rename((directory, name), (directory, &silly)).unwrap();
    silly
}

/// A directory of the builder with an open file that was deleted: both handles, and the name that it has now.
fn deleted_while_open(world: &World) -> (nfs_fh3, nfs_fh3, Vec<u8>) {
    let mut client = world.builder();
    client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
    let (directory, file) = (world.at("build/dir"), world.builders_file("build/dir/file", b"data", 0o644));
    let silly = remove_open(&mut client, &directory, b"file", 1);
    (directory, file, silly)
}

fn text(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn names(client: &mut Client, directory: &nfs_fh3) -> Vec<String> {
    let listed = client.readdir(directory, 0, 4096).unwrap().reply.entries.0;
    listed.iter().map(|entry| String::from_utf8_lossy(&entry.name.0).into_owned()).collect()
}

#[test]
fn their_names_are_not_listed_and_go_when_they_are_closed() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
    let mut client = world.builder();
    assert_eq!(names(&mut client, &directory), [".", ".."]);
    assert_eq!(client.readdirplus(&directory, 0, 4096).unwrap().reply.entries.0.len(), 2);
    client.remove(&directory, &silly).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
    assert!(!world.host("build/dir").join(text(&silly)).exists());
}

#[test]
fn one_that_a_program_names_is_the_programs() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
    let mut client = world.builder();
    assert_eq!(client.lookup(&directory, &silly).unwrap().object, file);
    assert_eq!(names(&mut client, &directory), [".", "..", &text(&silly)]);
    assert_eq!(refused(client.rmdir(&world.at("build"), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
}

/// Asserts that a name in a new directory `dir` of this place is a file's like any other.
#[track_caller]
fn assert_ordinary(world: &World, place: &str, name: &[u8]) {
    let mut client = world.builder();
    let directory = world.at(&format!("{place}/dir"));
    assert_eq!(names(&mut client, &directory), [".", "..", &text(name)]);
    assert_eq!(refused(client.rmdir(&world.at(place), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
    let world_place = world.at(place);
    client.mkdir(&world_place, b"other", mode(0o755)).unwrap();
    let over = client.rename((&world_place, b"other"), (&world_place, b"dir"));
    assert_eq!(refused(over), nfsstat3::NFS3ERR_NOTEMPTY);
    client.rmdir(&world_place, b"other").unwrap();
    assert!(world.host(&format!("{place}/dir/{}", text(name))).symlink_metadata().is_ok());
    client.remove(&directory, name).unwrap();
    client.rmdir(&world_place, b"dir").unwrap();
}

/// A world in which the builder may write to both places, each with a new directory of the builder's.
fn with_directories() -> World {
    let world = World::new();
    let writable = world.at("writable");
    world.root().setattr(&writable, mode(0o777)).unwrap();
    for place in PLACES {
        world.builder().mkdir(&world.at(place), b"dir", mode(0o755)).unwrap();
    }
    world
}

const PLACES: [&str; 2] = ["build", "writable"];

#[test]
fn what_is_made_with_such_a_name_is_a_file_like_any_other() {
    type Make = fn(&mut Client, &nfs_fh3);
    let ways: [Make; 5] = [
        |client, directory| drop(client.create(directory, STRANGE, unchecked(size(0))).unwrap()),
        |client, directory| drop(client.symlink(directory, STRANGE, b"nowhere").unwrap()),
        |client, directory| {
            drop(client.mknod(directory, STRANGE, mknoddata3::NF3FIFO(mode(0o600))).unwrap());
        },
        |client, directory| {
            let file = made(client.create(directory, b"file", unchecked(size(0))).unwrap());
            client.link(&file, directory, STRANGE).unwrap();
            client.remove(directory, b"file").unwrap();
        },
        // `mv`: the name is free, but it is not this file's.
        |client, directory| {
            client.create(directory, b"file", unchecked(size(0))).unwrap();
            assert_eq!(refused(client.lookup(directory, STRANGE)), nfsstat3::NFS3ERR_NOENT);
            client.rename((directory, b"file"), (directory, STRANGE)).unwrap();
        },
    ];
    for make in ways {
        let world = with_directories();
        for place in PLACES {
            make(&mut world.builder(), &world.at(&format!("{place}/dir")));
            assert_ordinary(&world, place, STRANGE);
        }
    }
}

#[test]
fn a_file_that_a_program_gives_its_own_number_for_a_name_is_the_programs() {
    let world = with_directories();
    for place in PLACES {
        let mut client = world.builder();
        let (parent, directory) = (world.at(place), world.at(&format!("{place}/dir")));
        // Nobody looked whether the name is free.
        let file = made(client.create(&directory, b"file", unchecked(size(0))).unwrap());
        let silly = silly_name(&mut client, &file, 7);
        client.rename((&directory, b"file"), (&directory, &silly)).unwrap();
        assert_ordinary(&world, place, &silly);
        // From elsewhere.
        client.mkdir(&parent, b"dir", mode(0o755)).unwrap();
        let directory = world.at(&format!("{place}/dir"));
        let file = made(client.create(&parent, b"file", unchecked(size(0))).unwrap());
        let silly = silly_name(&mut client, &file, 8);
        assert_eq!(refused(client.lookup(&directory, &silly)), nfsstat3::NFS3ERR_NOENT);
        client.rename((&parent, b"file"), (&directory, &silly)).unwrap();
        assert_ordinary(&world, place, &silly);
    }
}

#[test]
fn what_the_host_has_of_such_a_name_is_shown_and_kept() {
    let world = World::new();
    for place in ["package", "writable"] {
        fs::create_dir(world.host(place).join("dir")).unwrap();
        fs::write(world.host(place).join("dir").join(text(STRANGE)), "payload").unwrap();
        let directory = world.at(&format!("{place}/dir"));
        let mut root = world.root();
        assert_eq!(names(&mut root, &directory), [".", "..", &text(STRANGE)]);
        let file = root.lookup(&directory, STRANGE).unwrap().object;
        assert_eq!(root.read(&file, 0, 9).unwrap().data.to_vec(), b"payload");
    }
    let kept = refused(world.root().rmdir(&world.at("writable"), b"dir"));
    assert_eq!(kept, nfsstat3::NFS3ERR_NOTEMPTY);
    assert!(world.host("writable/dir").join(text(STRANGE)).exists());
}

#[test]
fn a_file_that_the_host_puts_in_the_place_of_one_is_shown_and_kept() {
    let world = World::new();
    let mut root = world.root();
    root.mkdir(&world.at("writable"), b"dir", mode(0o755)).unwrap();
    let directory = world.at("writable/dir");
    root.create(&directory, b"file", unchecked(size(0))).unwrap();
    let silly = remove_open(&mut root, &directory, b"file", 1);
    assert_eq!(names(&mut root, &directory), [".", ".."]);
    let on_host = world.host("writable/dir").join(text(&silly));
    fs::write(on_host.with_file_name("new"), "the host's").unwrap();
    fs::rename(on_host.with_file_name("new"), &on_host).unwrap();
    assert_eq!(names(&mut root, &directory), [".", "..", &text(&silly)]);
    assert_eq!(refused(root.rmdir(&world.at("writable"), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
    drop(root);
    let World { server, host } = world;
    server.stop();
    assert_eq!(fs::read(on_host).unwrap(), b"the host's");
    drop(host);
}

#[test]
fn a_bsd_has_names_of_its_own_and_looks_for_them_once_more() {
    const SILLY: &[u8] = b".nfs.20051025.01ff";
    let world = World::of_bsd(HostCapabilities::default());
    let mut client = world.builder();
    for looks in [1, 2] {
        client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
        let directory = world.at("build/dir");
        client.create(&directory, b"file", unchecked(size(0))).unwrap();
        assert_eq!(refused(client.lookup(&directory, SILLY)), nfsstat3::NFS3ERR_NOENT);
        client.rename((&directory, b"file"), (&directory, SILLY)).unwrap();
        for _ in 0..looks {
            client.lookup(&directory, SILLY).unwrap();
        }
        let hidden = names(&mut client, &directory).len() == 2;
        assert_eq!(hidden, looks == 1, "a program that looks for it has it");
        client.remove(&directory, SILLY).unwrap();
        client.rmdir(&world.at("build"), b"dir").unwrap();
    }
}

#[test]
fn a_directory_that_holds_only_them_goes_and_the_files_stay_open() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
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
    client.remove(&directory, &silly).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(refused(client.remove(&directory, &silly)), nfsstat3::NFS3ERR_STALE, "it is released once");
}

#[test]
fn a_new_file_in_the_old_place_is_another_file() {
    let world = World::new();
    let (_, file, _) = deleted_while_open(&world);
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
    let (directory, file, silly) = deleted_while_open(&world);
    let mut client = world.builder();
    client.link(&file, &world.at("build"), b"kept").unwrap();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(world.at("build/kept"), file);
    client.write(&file, 0, b"DATA").unwrap();
    assert_eq!(fs::read(world.host("build/kept")).unwrap(), b"DATA");
    client.remove(&directory, &silly).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"DATA");
    client.write(&file, 0, b"more").unwrap();
    assert_eq!(fs::read(world.host("build/kept")).unwrap(), b"more");
}

#[test]
fn a_file_that_loses_its_other_name_stays_open_by_the_first() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
    let (mut client, build) = (world.builder(), world.at("build"));
    client.link(&file, &build, b"other").unwrap();
    client.rmdir(&build, b"dir").unwrap();
    client.remove(&build, b"other").unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.remove(&directory, &silly).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_file_that_is_open_by_two_names_stays_until_the_second_is_closed() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
    let mut client = world.builder();
    client.link(&file, &directory, b"second").unwrap();
    let second = remove_open(&mut client, &directory, b"second", 2);
    client.rmdir(&world.at("build"), b"dir").unwrap();
    client.remove(&directory, &silly).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
    client.remove(&directory, &second).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn pipes_sockets_and_links_that_are_open_do_not_keep_a_directory_either() {
    let world = World::new();
    let (directory, file, _) = deleted_while_open(&world);
    let mut client = world.builder();
    client.mknod(&directory, b"pipe", mknoddata3::NF3FIFO(mode(0o600))).unwrap();
    client.mknod(&directory, b"socket", mknoddata3::NF3SOCK(mode(0o600))).unwrap();
    let pipe = client.lookup(&directory, b"pipe").unwrap().object;
    let silly = remove_open(&mut client, &directory, b"pipe", 2);
    remove_open(&mut client, &directory, b"socket", 3);
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(client.getattr(&pipe).unwrap().mode, 0o600);
    client.remove(&directory, &silly).unwrap();
    assert_eq!(refused(client.getattr(&pipe)), nfsstat3::NFS3ERR_STALE);
    assert_eq!(client.getattr(&file).unwrap().size, 4);
}

#[test]
fn a_directory_in_the_way_of_a_rename_may_hold_them() {
    let world = World::new();
    let (_, file, _) = deleted_while_open(&world);
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"new", mode(0o755)).unwrap();
    client.rename((&build, b"new"), (&build, b"dir")).unwrap();
    assert_eq!(client.read(&file, 0, 9).unwrap().data.to_vec(), b"data");
}

#[test]
fn anything_else_in_the_directory_keeps_it_and_them() {
    let world = World::new();
    let (directory, file, silly) = deleted_while_open(&world);
    world.builders_file("build/dir/other", b"", 0o644);
    let mut client = world.builder();
    assert_eq!(refused(client.rmdir(&world.at("build"), b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
    assert_eq!(names(&mut client, &directory), [".", "..", "other"]);
    assert_eq!(client.lookup(&directory, &silly).unwrap().object, file);
}

#[test]
fn what_a_client_still_has_open_when_the_server_stops_is_deleted_then() {
    let world = World::new();
    let client = world.builder();
    deleted_while_open(&world);
    let left = world.host("build/dir");
    assert_eq!(fs::read_dir(&left).unwrap().count(), 1);
    let World { server, host } = world;
    server.stop();
    assert_eq!(fs::read_dir(&left).unwrap().count(), 0);
    drop((client, host));
}

#[test]
fn a_client_that_has_unmounted_may_finish_its_deletions() {
    let world = World::new();
    let mut client = world.builder();
    let (directory, _, silly) = deleted_while_open(&world);
    let left = world.host("build/dir");
    let World { server, host } = world;
    let stopping = std::thread::spawn(|| server.stop());
    client.remove(&directory, &silly).unwrap();
    drop(client);
    stopping.join().unwrap();
    assert_eq!(fs::read_dir(&left).unwrap().count(), 0);
    drop(host);
}

#[test]
fn what_a_client_leaves_when_it_has_closed_everything_is_a_programs() {
    let world = World::new();
    let (_, _, silly) = deleted_while_open(&world);
    let World { server, host } = world;
    // Nobody is connected any more: the client has removed what it meant to remove.
    server.stop();
    assert!(host.path().join("build/dir").join(text(&silly)).exists());
}

#[test]
fn a_file_with_another_name_keeps_its_handle_where_the_host_makes_changes_too() {
    let world = with_directories();
    let (mut client, place, directory) = (world.builder(), world.at("writable"), world.at("writable/dir"));
    let file = made(client.create(&directory, b"file", unchecked(size(0))).unwrap());
    client.link(&file, &place, b"kept").unwrap();
    let silly = remove_open(&mut client, &directory, b"file", 1);
    client.rmdir(&place, b"dir").unwrap();
    assert_eq!(world.at("writable/kept"), file);
    client.remove(&directory, &silly).unwrap();
    assert_eq!(world.at("writable/kept"), file);
    assert_eq!(client.getattr(&file).unwrap().nlink, 1);
}
