//! MKDIR.

use std::os::unix::fs::MetadataExt;

use nfs3_types::nfs3::{Nfs3Option, createhow3, mknoddata3, nfsstat3, sattr3};

use crate::calls::mode;
use crate::client::refused;
use crate::world::{BUILDER, World, assert_changed, assert_is, guarded};

#[test]
fn a_new_directory_belongs_to_the_caller_with_exactly_the_mode_asked_for() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let before = client.getattr(&build).unwrap();
    let done = client.mkdir(&build, b"dir", mode(0o1707)).unwrap();
    let host = world.metadata("build/dir");
    assert!(host.is_dir());
    assert_eq!((host.mode() & 0o7777, host.uid(), host.gid()), (0o1707, BUILDER, BUILDER));
    assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
    let Nfs3Option::Some(attributes) = &done.obj_attributes else { panic!("no attributes") };
    assert_is(attributes, &host);
    assert_eq!(done.obj.unwrap(), world.at("build/dir"));
    client.create(&world.at("build/dir"), b"file", guarded(0o600)).unwrap();
}

#[test]
fn a_name_is_taken_once() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"dir", mode(0o755)).unwrap();
    client.symlink(&build, b"link", b"/etc").unwrap();
    for name in [&b"dir"[..], b"link", b".", b".."] {
        assert_eq!(refused(client.mkdir(&build, name, mode(0o755))), nfsstat3::NFS3ERR_EXIST);
    }
    let declared = world.root().mkdir(&world.at("store"), b"package", sattr3::default());
    assert_eq!(refused(declared), nfsstat3::NFS3ERR_EXIST);
}

#[test]
fn nothing_is_made_outside_writable_places_by_root_either() {
    let world = World::new();
    for path in ["", "etc", "empty", "package", "store/package/deep", "file"] {
        let done = world.root().mkdir(&world.at(path), b"new", mode(0o755));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{path}");
    }
    assert!(!world.host("package/new").exists());
}

#[test]
fn set_id_modes_and_callers_without_the_right_are_refused() {
    let world = World::new();
    let build = world.at("build");
    assert_eq!(refused(world.root().mkdir(&build, b"d", mode(0o2755))), nfsstat3::NFS3ERR_PERM);
    let store = world.at("store");
    assert_eq!(refused(world.builder().mkdir(&store, b"d", mode(0o755))), nfsstat3::NFS3ERR_ACCES);
    let file = world.builders_file("build/file", b"", 0o777);
    assert_eq!(refused(world.builder().mkdir(&file, b"d", mode(0o755))), nfsstat3::NFS3ERR_NOTDIR);
}

#[test]
fn what_is_made_without_a_mode_is_as_open_as_can_be() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"directory", sattr3::default()).unwrap();
    client.mknod(&build, b"pipe", mknoddata3::NF3FIFO(sattr3::default())).unwrap();
    client.create(&build, b"file", createhow3::GUARDED(sattr3::default())).unwrap();
    for (name, mode) in [("directory", 0o777), ("pipe", 0o666), ("file", 0o666)] {
        assert_eq!(world.metadata(&format!("build/{name}")).mode() & 0o7777, mode, "{name}");
    }
}
