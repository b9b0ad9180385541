//! Which names there can be: the same rule in every procedure that takes one.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nfs3_types::nfs3::{mknoddata3, nfs_fh3, nfsstat3};

use crate::calls::mode;
use crate::client::{Client, refused};
use crate::world::{World, guarded};

/// What each procedure says to a name in a directory that may be changed.
fn statuses(client: &mut Client, directory: &nfs_fh3, file: &nfs_fh3, name: &[u8]) -> Vec<nfsstat3> {
    vec![
        refused(client.lookup(directory, name)),
        refused(client.create(directory, name, guarded(0o600))),
        refused(client.mkdir(directory, name, mode(0o700))),
        refused(client.symlink(directory, name, b"x")),
        refused(client.mknod(directory, name, mknoddata3::NF3FIFO(mode(0o600)))),
        refused(client.remove(directory, name)),
        refused(client.rmdir(directory, name)),
        refused(client.rename((directory, name), (directory, b"x"))),
        refused(client.rename((directory, b"file"), (directory, name))),
        refused(client.link(file, directory, name)),
    ]
}

#[test]
fn no_name_is_empty_or_holds_a_slash_or_a_nul() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, build) = (world.root(), world.at("build"));
    for name in [&b""[..], b"/", b"a/b", b"../escaped", b"/etc", b"a\0", b"\0", b"file/"] {
        for status in statuses(&mut client, &build, &file, name) {
            assert_eq!(status, nfsstat3::NFS3ERR_INVAL, "{:?}", OsStr::from_bytes(name));
        }
    }
    assert!(!world.host("escaped").exists());
}

#[test]
fn no_name_is_longer_than_255_bytes() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, build) = (world.root(), world.at("build"));
    for length in [256, 1000, 4095] {
        for status in statuses(&mut client, &build, &file, &vec![b'n'; length]) {
            assert_eq!(status, nfsstat3::NFS3ERR_NAMETOOLONG, "{length} bytes");
        }
    }
}

#[test]
fn a_name_may_be_any_other_255_bytes() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let all: Vec<u8> = (1..=255).filter(|byte| *byte != b'/').collect();
    for name in [&[b'n'; 255][..], &all, b"\xff\xfe", b"...", b" ", b"\n", b"-rf", "naïve".as_bytes()] {
        client.create(&build, name, guarded(0o600)).unwrap();
        assert!(world.host("build").join(OsStr::from_bytes(name)).exists());
        let found = client.lookup(&build, name).unwrap().object;
        let listed = client.readdirplus(&build, 0, 1 << 16).unwrap().reply.entries.0;
        let entry = listed.into_iter().find(|entry| *entry.name.0 == *name).expect("it is listed");
        assert_eq!(entry.name_handle.unwrap(), found);
        client.rename((&build, name), (&build, b"\x80")).unwrap();
        client.remove(&build, b"\x80").unwrap();
    }
}

#[test]
fn dots_are_directories_that_exist_and_cannot_be_made_or_taken_away() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, build) = (world.root(), world.at("build"));
    for name in [&b"."[..], b".."] {
        client.lookup(&build, name).unwrap();
        let made = [
            refused(client.create(&build, name, guarded(0o600))),
            refused(client.mkdir(&build, name, mode(0o700))),
            refused(client.symlink(&build, name, b"x")),
            refused(client.link(&file, &build, name)),
        ];
        assert_eq!(made, [nfsstat3::NFS3ERR_EXIST; 4]);
        let taken = [refused(client.remove(&build, name)), refused(client.rmdir(&build, name))];
        assert_eq!(taken, [nfsstat3::NFS3ERR_INVAL; 2]);
    }
}
