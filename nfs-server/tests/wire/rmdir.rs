//! RMDIR. What it does to directories with files that are still open is in `silly.rs`.

use nfs3_types::nfs3::nfsstat3;

use crate::calls::mode;
use crate::client::refused;
use crate::world::{World, assert_changed};

#[test]
fn an_empty_directory_goes_and_its_parent_tells() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    let directory = world.at("build/dir");
    let before = client.getattr(&build).unwrap();
    let done = client.rmdir(&build, b"dir").unwrap();
    assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
    assert!(!world.host("build/dir").exists());
    assert_eq!(refused(client.getattr(&directory)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_new_directory_of_the_name_has_another_handle() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    let old = world.at("build/dir");
    client.rmdir(&build, b"dir").unwrap();
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    assert_ne!(world.at("build/dir"), old);
    assert_eq!(refused(client.getattr(&old)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_directory_with_names_in_it_stays() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o777)).unwrap();
    world.builders_file("build/dir/file", b"", 0o644);
    assert_eq!(refused(client.rmdir(&build, b"dir")), nfsstat3::NFS3ERR_NOTEMPTY);
    assert!(world.host("build/dir/file").exists());
}

#[test]
fn what_is_no_directory_is_left_to_remove() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    world.builders_file("build/file", b"", 0o644);
    client.symlink(&build, b"link", b"package").unwrap();
    for name in [&b"file"[..], b"link"] {
        assert_eq!(refused(client.rmdir(&build, name)), nfsstat3::NFS3ERR_NOTDIR);
    }
    assert_eq!(refused(client.rmdir(&build, b"none")), nfsstat3::NFS3ERR_NOENT);
    for name in [&b"."[..], b".."] {
        assert_eq!(refused(client.rmdir(&build, name)), nfsstat3::NFS3ERR_INVAL);
    }
}

#[test]
fn nothing_goes_outside_writable_places_for_root_either() {
    let world = World::new();
    for (directory, name) in [("", "empty"), ("", "build"), ("package", "deep"), ("store", "package")] {
        let done = world.root().rmdir(&world.at(directory), name.as_bytes());
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{directory}/{name}");
    }
    assert!(world.host("package/deep/down").exists());
}

#[test]
fn sticky_directories_and_modes_hold_for_directories_too() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o777)).unwrap();
    world.root().setattr(&build, mode(0o1777)).unwrap();
    client.become_user(2000, 2000, &[]);
    assert_eq!(refused(client.rmdir(&build, b"dir")), nfsstat3::NFS3ERR_PERM);
    world.root().setattr(&build, mode(0o755)).unwrap();
    assert_eq!(refused(world.builder().rmdir(&build, b"dir")), nfsstat3::NFS3ERR_ACCES);
}
