//! MKNOD.

use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nfs3_types::nfs3::{Nfs3Option, devicedata3, mknoddata3, nfsstat3, sattr3, specdata3};

use crate::calls::{at, mode};
use crate::client::{Answer, encode, refused};
use crate::world::{BUILDER, World, assert_changed, assert_is};

#[test]
fn pipes_and_sockets_are_made_for_the_caller() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    for (name, what) in
        [("pipe", mknoddata3::NF3FIFO(mode(0o622))), ("socket", mknoddata3::NF3SOCK(mode(0o777)))]
    {
        let before = client.getattr(&build).unwrap();
        let done = client.mknod(&build, name.as_bytes(), what).unwrap();
        let host = world.metadata(&format!("build/{name}"));
        assert_eq!((host.uid(), host.gid()), (BUILDER, BUILDER));
        assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
        let Nfs3Option::Some(attributes) = &done.obj_attributes else { panic!("no attributes") };
        assert_is(attributes, &host);
        assert_eq!(done.obj.unwrap(), world.at(&format!("build/{name}")));
    }
    assert!(world.metadata("build/pipe").file_type().is_fifo());
    assert_eq!(world.metadata("build/pipe").mode() & 0o7777, 0o622);
    assert!(world.metadata("build/socket").file_type().is_socket());
    assert_eq!(world.metadata("build/socket").mode() & 0o7777, 0o777);
}

#[test]
fn devices_are_made_by_nobody() {
    let world = World::new();
    let data = || devicedata3 { dev_attributes: mode(0o666), spec: specdata3 { specdata1: 1, specdata2: 3 } };
    for what in [mknoddata3::NF3CHR(data()), mknoddata3::NF3BLK(data())] {
        let done = world.root().mknod(&world.at("build"), b"device", what);
        assert_eq!(refused(done), nfsstat3::NFS3ERR_PERM);
    }
    assert!(!world.host("build/device").exists());
}

#[test]
fn types_that_have_procedures_of_their_own_are_bad() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    for kind in [0_u32, 1, 2, 5, 8] {
        let mut arguments = encode(&at(&build, b"new"));
        arguments.extend(kind.to_be_bytes());
        let mut record = client.next_call(100_003, 3, 11, &nfs3_types::xdr_codec::Void);
        record.extend(arguments);
        let Answer::Done(result) = client.ask(&record) else { panic!("type {kind} was not answered") };
        assert_eq!(result[..4], (nfsstat3::NFS3ERR_BADTYPE as u32).to_be_bytes(), "type {kind}");
    }
}

#[test]
fn it_is_made_where_others_are_made_and_nowhere_else() {
    let world = World::new();
    let pipe = || mknoddata3::NF3FIFO(sattr3::default());
    let (mut root, mut builder) = (world.root(), world.builder());
    builder.mknod(&world.at("build"), b"pipe", pipe()).unwrap();
    assert_eq!(refused(root.mknod(&world.at("build"), b"pipe", pipe())), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(refused(root.mknod(&world.at("package"), b"new", pipe())), nfsstat3::NFS3ERR_ROFS);
    assert_eq!(refused(root.mknod(&world.at("store"), b"package", pipe())), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(refused(builder.mknod(&world.at("store"), b"new", pipe())), nfsstat3::NFS3ERR_ACCES);
    let set_id = mknoddata3::NF3FIFO(mode(0o4777));
    assert_eq!(refused(root.mknod(&world.at("build"), b"new", set_id)), nfsstat3::NFS3ERR_PERM);
}
