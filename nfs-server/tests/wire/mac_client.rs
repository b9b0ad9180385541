//! The server by a client that behaves as macOS's does: its calls in its order, read from its source (`nfs_vfsops.c`,
//! `nfs_socket.c` and `nfs_vnops.c` of Apple's NFS), on a host that cannot make pipes and sockets, as a Mac cannot.

use nfs_server::view::{HostCapabilities, is_special_file_marker};
use nfs3_types::mount::{mountres3, mountstat3};
use nfs3_types::nfs3::{
    Nfs3Option, createhow3, ftype3, mknoddata3, nfs_fh3, nfsstat3, sattr3, set_atime, set_mtime, stable_how,
};
use nfs3_types::xdr_codec::Opaque;

use crate::calls::{mode, size};
use crate::client::{Answer, Client, decode, refused};
use crate::world::{BUILDER, World, made, unchecked};

/// What it asks for in every ACCESS: all six rights (`NFS_ACCESS_ALL`).
const EVERYTHING: u32 = 0x3f;

/// `AppleDouble` files begin with this (`ADH_MAGIC` of `bsd/vfs/vfs_xattr.c`).
const APPLE_DOUBLE: [u8; 4] = [0x00, 0x05, 0x16, 0x07];

fn world() -> World {
    World::of_bsd(HostCapabilities { special_files: false, ..HostCapabilities::default() })
}

/// MNT or UMNT of the export.
fn mount_call(world: &World, version: u32, procedure: u32) -> Vec<u8> {
    let mut client = world.root();
    let path = Opaque::borrowed(world.server.export().as_bytes());
    let record = client.next_call(nfs3_types::mount::PROGRAM, version, procedure, &path);
    match client.ask(&record) {
        Answer::Done(result) => result,
        other => panic!("{other:?}"),
    }
}

fn times_of_the_server() -> sattr3 {
    sattr3 {
        mode: Nfs3Option::Some(0o644),
        atime: set_atime::SET_TO_SERVER_TIME,
        mtime: set_mtime::SET_TO_SERVER_TIME,
        ..sattr3::default()
    }
}

#[test]
fn it_mounts_and_unmounts() {
    let world = world();
    let mut client = world.root();
    client.null();
    let mountres3::Ok(done) = decode(&mount_call(&world, 3, 1)) else { panic!("MNT was refused") };
    let root = nfs_fh3 { data: Opaque::owned(done.fhandle.0.to_vec()) };
    let attributes = client.getattr(&root).unwrap();
    assert_eq!((attributes.type_, attributes.nlink >= 2), (ftype3::NF3DIR, true));
    let fsinfo = client.fsinfo(&root).unwrap();
    // A preference of 0 would become its transfers' size, and others have to be whole blocks of 512 bytes.
    for preferred in [fsinfo.rtpref, fsinfo.wtpref, fsinfo.dtpref] {
        assert!(preferred >= 512 << 10 && preferred % 512 == 0);
    }
    assert_eq!(fsinfo.properties, 0x1b, "LINK, SYMLINK, HOMOGENEOUS, CANSETTIME");
    let pathconf = client.pathconf(&root).unwrap();
    assert!(pathconf.no_trunc && pathconf.chown_restricted && pathconf.case_preserving);
    assert_eq!(pathconf.name_max, 255);
    assert!(client.fsstat(&root).unwrap().tbytes > 0);
    // It unmounts by version 1, and then asks for nothing else.
    assert_eq!(mount_call(&world, 1, 3), [0; 0]);
    let refused: mountres3 = decode(&mount_call(&world, 1, 1));
    assert!(matches!(refused, mountres3::Err(mountstat3::MNT3ERR_NOENT)), "version 1 mounts nothing");
}

#[test]
fn it_tries_version_4_and_is_told_what_there_is() {
    let world = world();
    let mut client = world.root();
    let record = client.next_call(100_003, 4, 0, &nfs3_types::xdr_codec::Void);
    let answer = format!("{:?}", client.ask(&record));
    assert!(answer.contains("PROG_MISMATCH") && answer.contains("low: 3, high: 3"), "{answer}");
}

#[test]
fn the_six_rights_are_answered_by_mode() {
    let world = world();
    let file = world.builders_file("build/file", b"", 0o640);
    let granted = |client: &mut Client, node: &nfs_fh3| client.access(node, EVERYTHING).unwrap().access;
    // READ, MODIFY and EXTEND; LOOKUP and DELETE are a directory's, EXECUTE needs the mode.
    assert_eq!(granted(&mut world.builder(), &file), 0x01 | 0x04 | 0x08);
    let directory = granted(&mut world.builder(), &world.at("build"));
    assert_eq!(directory, 0x1f, "all but EXECUTE");
    assert_eq!(granted(&mut world.root(), &world.at("package/hello")), 0x01, "nothing else of a graft");
    assert_eq!(granted(&mut world.builder(), &world.at("package/run")), 0x01 | 0x20);
}

#[test]
fn an_exclusive_file_gets_its_mode_and_times_afterwards() {
    let world = world();
    let (mut client, build) = (world.builder(), world.at("build"));
    let exclusive = || createhow3::EXCLUSIVE(nfs3_types::nfs3::createverf3(*b"verifier"));
    let file = made(client.create(&build, b"lock", exclusive()).unwrap());
    // The reply went astray, and it asks again: it is still the one who made it.
    assert_eq!(made(client.create(&build, b"lock", exclusive()).unwrap()), file);
    let other = createhow3::EXCLUSIVE(nfs3_types::nfs3::createverf3(*b"another."));
    assert_eq!(refused(client.create(&build, b"lock", other)), nfsstat3::NFS3ERR_EXIST);
    client.setattr(&file, times_of_the_server()).unwrap();
    let attributes = client.getattr(&file).unwrap();
    assert_eq!((attributes.mode, attributes.uid, attributes.size), (0o644, BUILDER, 0));
}

#[test]
fn an_attribute_of_a_file_is_kept_in_a_file_beside_it() {
    let world = world();
    let mut client = world.builder();
    let (build, file) = (world.at("build"), world.builders_file("build/file", b"data", 0o755));
    assert_eq!(refused(client.lookup(&build, b"._file")), nfsstat3::NFS3ERR_NOENT);
    let beside = made(client.create(&build, b"._file", unchecked(size(0))).unwrap());
    let of_the_file = client.getattr(&file).unwrap();
    client.setattr(&beside, mode(of_the_file.mode)).unwrap();
    let header = [&APPLE_DOUBLE[..], &[0; 4092]].concat();
    client.write_stable(&beside, 0, &header, stable_how::UNSTABLE).unwrap();
    client.commit(&beside).unwrap();
    // Its owner has to be the file's, or the kernel does not believe it.
    assert_eq!(client.getattr(&beside).unwrap().uid, of_the_file.uid);
    assert_eq!(client.read(&beside, 0, 4).unwrap().data.0.as_ref(), APPLE_DOUBLE);
    // Removing the file, the kernel looks for the other and removes it too.
    client.remove(&build, b"file").unwrap();
    client.lookup(&build, b"._file").unwrap();
    client.remove(&build, b"._file").unwrap();
}

#[test]
fn attributes_are_looked_for_and_not_made_where_nobody_writes() {
    let world = world();
    let (mut client, package) = (world.root(), world.at("package"));
    assert_eq!(refused(client.lookup(&package, b"._hello")), nfsstat3::NFS3ERR_NOENT);
    let made = client.create(&package, b"._hello", unchecked(size(0)));
    assert_eq!(refused(made), nfsstat3::NFS3ERR_ROFS);
    // One that is there on the host is a file like any other.
    std::fs::write(world.host("package/._real"), "data").unwrap();
    let real = client.lookup(&package, b"._real").unwrap().object;
    assert_eq!(client.read(&real, 0, 9).unwrap().data.0.as_ref(), b"data");
}

#[test]
fn a_listing_goes_on_behind_each_cookie() {
    let world = world();
    let (mut client, build) = (world.builder(), world.at("build"));
    let expected: Vec<String> = (0..300).map(|number| format!("file-{number:03}")).collect();
    for name in &expected {
        client.create(&build, name.as_bytes(), unchecked(size(0))).unwrap();
    }
    let (mut cookie, mut names) = (0, Vec::new());
    loop {
        let reply = client.readdirplus(&build, cookie, 8192).unwrap().reply;
        for entry in &reply.entries.0 {
            assert!(entry.cookie > cookie, "they only grow");
            assert_ne!(entry.fileid, 0, "an inode number of 0 brings its kernel down");
            let Nfs3Option::Some(attributes) = &entry.name_attributes else { panic!("no attributes") };
            assert_eq!(attributes.fileid, entry.fileid);
            cookie = entry.cookie;
            names.push(String::from_utf8_lossy(&entry.name.0).into_owned());
        }
        if reply.eof {
            break;
        }
    }
    assert_eq!(names[..2], [".", ".."]);
    names.drain(..2);
    names.sort();
    assert_eq!(names, expected);
}

#[test]
fn pipes_and_sockets_are_made_where_the_host_cannot() {
    let world = world();
    let (mut client, build) = (world.builder(), world.at("build"));
    for (name, what, kind) in [
        ("pipe", mknoddata3::NF3FIFO(mode(0o622)), ftype3::NF3FIFO),
        ("socket", mknoddata3::NF3SOCK(mode(0o755)), ftype3::NF3SOCK),
    ] {
        let done = client.mknod(&build, name.as_bytes(), what).unwrap();
        let Nfs3Option::Some(attributes) = &done.obj_attributes else { panic!("no attributes") };
        assert_eq!((attributes.type_, attributes.uid, attributes.size), (kind, BUILDER, 0));
        let node = done.obj.unwrap();
        assert_eq!(client.lookup(&build, name.as_bytes()).unwrap().object, node);
        assert_eq!(client.getattr(&node).unwrap().type_, kind);
        // No data, by any way.
        assert_eq!(refused(client.read(&node, 0, 100)), nfsstat3::NFS3ERR_INVAL);
        assert_eq!(refused(client.write(&node, 0, b"data")), nfsstat3::NFS3ERR_INVAL);
        assert_eq!(refused(client.setattr(&node, size(0))), nfsstat3::NFS3ERR_INVAL);
        let taken = client.create(&build, name.as_bytes(), unchecked(size(0)));
        assert_eq!(refused(taken), nfsstat3::NFS3ERR_EXIST);
        // Whoever takes the outputs from the host can tell.
        assert!(is_special_file_marker(&std::fs::read(world.host(&format!("build/{name}"))).unwrap()));
    }
    let listed = client.readdirplus(&build, 0, 8192).unwrap().reply.entries.0;
    for (name, kind) in [("pipe", ftype3::NF3FIFO), ("socket", ftype3::NF3SOCK)] {
        let entry = listed.iter().find(|entry| entry.name.0.as_ref() == name.as_bytes()).unwrap();
        let Nfs3Option::Some(attributes) = &entry.name_attributes else { panic!("no attributes") };
        assert_eq!((attributes.type_, attributes.size), (kind, 0));
    }
    let outlives = world.root().mknod(&world.at("writable"), b"pipe", mknoddata3::NF3FIFO(mode(0o644)));
    assert_eq!(
        refused(outlives),
        nfsstat3::NFS3ERR_NOTSUPP,
        "the host's own files do not change their meaning"
    );
}

#[test]
fn a_socket_is_renamed_linked_and_removed_as_what_it_is() {
    let world = world();
    let (mut client, build) = (world.builder(), world.at("build"));
    let socket = client.mknod(&build, b"socket", mknoddata3::NF3SOCK(mode(0o700))).unwrap().obj.unwrap();
    client.rename((&build, b"socket"), (&build, b"moved")).unwrap();
    client.link(&socket, &build, b"linked").unwrap();
    client.setattr(&socket, mode(0o600)).unwrap();
    for name in [&b"moved"[..], b"linked"] {
        let found = client.lookup(&build, name).unwrap().object;
        let attributes = client.getattr(&found).unwrap();
        assert_eq!((found == socket, attributes.type_, attributes.mode), (true, ftype3::NF3SOCK, 0o600));
        assert_eq!(attributes.nlink, 2);
    }
    client.remove(&build, b"moved").unwrap();
    assert_eq!(client.getattr(&socket).unwrap().nlink, 1);
    client.remove(&build, b"linked").unwrap();
    assert_eq!(refused(client.getattr(&socket)), nfsstat3::NFS3ERR_STALE);
    assert!(!world.host("build/linked").exists());
}

#[test]
fn a_file_in_a_removed_sockets_place_is_a_file() {
    let world = world();
    let (mut client, build) = (world.builder(), world.at("build"));
    // The host gives inode numbers again, as ext4 does at once.
    for round in 0..50 {
        client.mknod(&build, b"name", mknoddata3::NF3SOCK(mode(0o700))).unwrap();
        client.remove(&build, b"name").unwrap();
        let file = made(client.create(&build, b"name", unchecked(size(0))).unwrap());
        assert_eq!(client.getattr(&file).unwrap().type_, ftype3::NF3REG, "round {round}");
        client.write(&file, 0, b"data").unwrap();
        client.remove(&build, b"name").unwrap();
    }
}

#[test]
fn a_socket_that_is_removed_while_open_stays_until_it_is_closed() {
    let world = world();
    let (mut client, silly) = (world.builder(), b".nfs.0123abcd.0001");
    client.mkdir(&world.at("build"), b"dir", mode(0o755)).unwrap();
    let directory = world.at("build/dir");
    let socket = client.mknod(&directory, b"socket", mknoddata3::NF3SOCK(mode(0o700))).unwrap().obj.unwrap();
    assert_eq!(refused(client.lookup(&directory, silly)), nfsstat3::NFS3ERR_NOENT);
    client.rename((&directory, b"socket"), (&directory, silly)).unwrap();
    client.lookup(&directory, silly).unwrap();
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(client.getattr(&socket).unwrap().type_, ftype3::NF3SOCK);
    client.remove(&directory, silly).unwrap();
    assert_eq!(refused(client.getattr(&socket)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_volume_that_does_not_tell_case_is_said_to_be_one() {
    let world = World::of_bsd(HostCapabilities {
        special_files: false,
        case_sensitive: Some(false),
        ..HostCapabilities::default()
    });
    let mut client = world.builder();
    assert!(client.pathconf(&world.at("build")).unwrap().case_insensitive);
    assert!(client.pathconf(&world.mount()).unwrap().case_insensitive, "what only the view has, too");
    // Entries are found by any case, and nothing can be made beside them that the volume would take for them.
    let store = world.at("store");
    assert_eq!(client.lookup(&store, b"PACKAGE").unwrap().object, world.at("store/package"));
    let taken = world.root().mkdir(&store, b"Package", mode(0o755));
    assert_eq!(refused(taken), nfsstat3::NFS3ERR_EXIST);
}
