//! GETATTR.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nfs3_types::nfs3::{ftype3, nfsstat3, specdata3};

use crate::client::{Client, handle, refused};
use crate::world::{World, assert_is};

#[test]
fn a_host_file_shows_what_the_host_says_of_it() {
    let world = World::new();
    let mut client = world.root();
    for path in ["package/hello", "package/link", "package/deep", "package", "build", "writable/note"] {
        assert_is(&client.getattr(&world.at(path)).unwrap(), &world.metadata(path));
    }
    assert_is(&client.getattr(&world.at("file")).unwrap(), &world.metadata("package/hello"));
}

#[test]
fn set_id_bits_do_not_show() {
    let world = World::new();
    assert_eq!(world.metadata("package/suid").mode() & 0o7777, 0o6755);
    assert_eq!(world.root().getattr(&world.at("package/suid")).unwrap().mode, 0o755);
}

#[test]
fn declared_nodes_show_what_was_declared() {
    let world = World::new();
    let mut client = world.root();
    let mut of = |path| client.getattr(&world.at(path)).unwrap();
    let file = of("etc/passwd");
    assert_eq!((file.type_, file.mode, file.size), (ftype3::NF3REG, 0o444, 11));
    let link = of("bin/sh");
    assert_eq!((link.type_, link.mode, link.size), (ftype3::NF3LNK, 0o777, 12));
    let device = of("dev/null");
    assert_eq!((device.type_, device.mode), (ftype3::NF3CHR, 0o666));
    assert_eq!(device.rdev, specdata3 { specdata1: 1, specdata2: 3 });
    let directory = of("empty");
    assert_eq!((directory.type_, directory.mode, directory.nlink), (ftype3::NF3DIR, 0o555, 2));
    let root = of("");
    assert_eq!((root.type_, root.mode), (ftype3::NF3DIR, 0o755));
    // bin, build, dev, empty, etc, owned, package, store and writable.
    assert_eq!(root.nlink, 2 + 9);
    let opened = root.mtime;
    assert!(opened.seconds > 1_000_000_000, "what only the view has was made when it was opened");
    for attributes in [file, link, device, directory, root] {
        assert_eq!((attributes.uid, attributes.gid), (0, 0));
        assert_eq!([attributes.atime, attributes.mtime, attributes.ctime], [opened; 3]);
    }
}

#[test]
fn declared_directories_and_devices_belong_to_whom_they_were_declared_to() {
    let world = World::new();
    let mut client = world.root();
    for path in ["owned", "owned/device"] {
        let attributes = client.getattr(&world.at(path)).unwrap();
        assert_eq!((attributes.uid, attributes.gid), (7, 8), "{path}");
    }
}

#[test]
fn a_scratch_counts_the_directories_that_are_declared_in_it() {
    let world = World::new();
    let store = world.at("store");
    let before = world.root().getattr(&store).unwrap().nlink;
    let metadata = world.metadata("store");
    assert_eq!(u64::from(before), metadata.nlink().max(2) + 1, "store/package is declared");
}

#[test]
fn file_ids_differ_are_never_zero_and_all_lie_on_one_file_system() {
    let world = World::new();
    let mut client = world.root();
    let paths =
        ["", "bin", "bin/sh", "dev/null", "etc", "etc/passwd", "empty", "build", "store", "package/hello"];
    let all: Vec<_> = paths.iter().map(|path| client.getattr(&world.at(path)).unwrap()).collect();
    let mut ids: Vec<u64> = all.iter().map(|attributes| attributes.fileid).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), paths.len());
    assert_ne!(ids[0], 0);
    assert!(all.iter().all(|attributes| attributes.fsid == all[0].fsid));
}

#[test]
fn a_handle_that_the_server_did_not_make_is_bad() {
    let world = World::new();
    let mut client = world.root();
    let genuine = world.at("package/hello").data.to_vec();
    let mut forged = genuine.clone();
    forged[7] ^= 1;
    let foreign = World::new().at("package/hello").data.to_vec();
    for bytes in [&forged[..], &foreign, &genuine[..31], &[genuine.clone(), vec![0]].concat(), &[0; 64], b""]
    {
        assert_eq!(refused(client.getattr(&handle(bytes))), nfsstat3::NFS3ERR_BADHANDLE);
    }
}

#[test]
fn a_file_that_is_gone_is_stale() {
    let world = World::new();
    let mut client = world.root();
    let (removed, lost) = (world.builders_file("build/a", b"", 0o644), world.at("writable/note"));
    client.remove(&world.at("build"), b"a").unwrap();
    assert_eq!(refused(client.getattr(&removed)), nfsstat3::NFS3ERR_STALE);
    fs::remove_file(world.host("writable/note")).unwrap();
    assert_eq!(refused(client.getattr(&lost)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn attributes_in_a_read_only_graft_follow_the_host() {
    let world = World::new();
    let (mut client, file) = (world.root(), world.at("package/hello"));
    fs::write(world.host("package/hello"), "hello again\n").unwrap();
    assert_is(&client.getattr(&file).unwrap(), &world.metadata("package/hello"));
}

#[test]
fn attributes_in_a_fixed_graft_are_those_seen_first() {
    let world = World::new();
    let (mut client, file) = (world.root(), world.at("store/package/hello"));
    let before = client.getattr(&file).unwrap();
    fs::write(world.host("package/hello"), "hello again\n").unwrap();
    assert_eq!(client.getattr(&file).unwrap().size, before.size);
    assert_eq!(world.at("store/package/hello"), file);
    assert_eq!(client.getattr(&file).unwrap().size, before.size);
}

#[test]
fn another_file_in_the_same_place_is_another_file() {
    let world = World::new();
    for (path, new) in [("package/hello", "package/new"), ("writable/note", "writable/new")] {
        let old = world.at(path);
        fs::write(world.host(new), "new").unwrap();
        fs::rename(world.host(new), world.host(path)).unwrap();
        assert_eq!(refused(world.root().read(&old, 0, 9)), nfsstat3::NFS3ERR_STALE);
        assert_ne!(world.at(path), old);
    }
}

#[test]
fn an_entry_whose_source_is_gone_is_stale() {
    let world = World::new();
    let (mut client, file) = (world.root(), world.at("file"));
    fs::remove_file(world.host("package/hello")).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
    fs::create_dir(world.host("package/hello")).unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE, "a directory is no file");
    fs::remove_dir(world.host("package/hello")).unwrap();
    fs::write(world.host("package/hello"), "again").unwrap();
    assert_eq!(client.getattr(&file).unwrap().size, 5);
}

#[test]
fn what_is_removed_meanwhile_is_stale() {
    World::new().assert_stale_once_removed(Client::getattr);
}
