//! SYMLINK.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nfs3_types::nfs3::{Nfs3Option, nfsstat3};

use crate::client::refused;
use crate::world::{BUILDER, World, assert_changed, assert_is};

#[test]
fn a_link_keeps_any_text_and_belongs_to_the_caller() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let before = client.getattr(&build).unwrap();
    let done = client.symlink(&build, b"link", b"../../\xff/etc").unwrap();
    let host = world.metadata("build/link");
    assert_eq!((host.uid(), host.gid()), (BUILDER, BUILDER));
    assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
    let Nfs3Option::Some(attributes) = &done.obj_attributes else { panic!("no attributes") };
    assert_is(attributes, &host);
    assert_eq!(done.obj.unwrap(), world.at("build/link"));
    let text = fs::read_link(world.host("build/link")).unwrap();
    assert_eq!(text, Path::new(OsStr::from_bytes(b"../../\xff/etc")));
}

#[test]
fn the_longest_text_is_the_systems() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.symlink(&build, b"long", &[b'x'; 4095]).unwrap();
    assert_eq!(fs::read_link(world.host("build/long")).unwrap().as_os_str().len(), 4095);
}

#[test]
fn texts_that_no_link_can_have_are_refused() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    assert_eq!(refused(client.symlink(&build, b"link", b"")), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(refused(client.symlink(&build, b"link", b"a\0b")), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(refused(client.symlink(&build, b"link", &[b'x'; 4096])), nfsstat3::NFS3ERR_NAMETOOLONG);
}

#[test]
fn it_is_made_where_others_are_made_and_nowhere_else() {
    let world = World::new();
    let (mut root, mut builder) = (world.root(), world.builder());
    builder.symlink(&world.at("build"), b"link", b"x").unwrap();
    assert_eq!(refused(root.symlink(&world.at("build"), b"link", b"y")), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(refused(root.symlink(&world.at("package"), b"new", b"y")), nfsstat3::NFS3ERR_ROFS);
    assert_eq!(refused(root.symlink(&world.mount(), b"new", b"y")), nfsstat3::NFS3ERR_ROFS);
    assert_eq!(refused(root.symlink(&world.at("store"), b"package", b"y")), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(refused(builder.symlink(&world.at("store"), b"new", b"y")), nfsstat3::NFS3ERR_ACCES);
}
