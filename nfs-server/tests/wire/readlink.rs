//! READLINK.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use nfs3_types::nfs3::nfsstat3;

use crate::client::{Client, refused};
use crate::world::{World, assert_is};

#[test]
fn a_links_text_comes_back_as_it_is() {
    let world = World::new();
    let text = |path| world.root().readlink(&world.at(path)).unwrap().data.0.to_vec();
    assert_eq!(text("package/link"), b"hello");
    assert_eq!(text("package/absolute"), b"/etc/passwd");
    assert_eq!(text("bin/sh"), b"/package/run");
    let odd = [&b"\xff\xfe/.."[..], &[b'x'; 4000]].concat();
    symlink(OsStr::from_bytes(&odd), world.host("build/odd")).unwrap();
    assert_eq!(text("build/odd"), odd);
}

#[test]
fn the_attributes_come_along() {
    let world = World::new();
    symlink("text", world.host("build/link")).unwrap();
    let before = world.metadata("build/link");
    let done = world.root().readlink(&world.at("build/link")).unwrap();
    assert_is(&done.symlink_attributes.unwrap(), &before);
}

#[test]
fn anything_else_is_invalid() {
    let world = World::new();
    for path in ["package/hello", "package", "etc/passwd", "dev/null", ""] {
        let done = world.root().readlink(&world.at(path));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_INVAL, "{path}");
    }
}

#[test]
fn a_link_that_is_gone_is_stale() {
    let world = World::new();
    let link = world.at("package/link");
    fs::remove_file(world.host("package/link")).unwrap();
    assert_eq!(refused(world.root().readlink(&link)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn what_is_removed_meanwhile_is_stale() {
    World::new().assert_stale_once_removed(Client::readlink);
}
