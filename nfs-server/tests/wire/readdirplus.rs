//! READDIRPLUS: what it adds to READDIR.

use std::fs::File;

use nfs3_types::nfs3::{Nfs3Option, nfsstat3};

use crate::client::{encode, refused};
use crate::world::{World, assert_is, guarded};

#[test]
fn each_name_comes_with_the_handle_and_the_attributes_that_lookup_gives() {
    let world = World::new();
    let mut client = world.root();
    for path in ["", "package", "store", "build", "etc", "package/deep"] {
        let directory = world.at(path);
        let listed = client.readdirplus(&directory, 0, 1 << 16).unwrap();
        assert!(listed.reply.eof);
        for entry in listed.reply.entries.0 {
            let found = client.lookup(&directory, &entry.name.0).unwrap();
            assert_eq!(entry.name_handle, Nfs3Option::Some(found.object));
            let (listed, found) = (entry.name_attributes.unwrap(), found.obj_attributes.unwrap());
            assert_eq!((listed.fileid, listed.mode, listed.size), (found.fileid, found.mode, found.size));
            assert_eq!(entry.fileid, listed.fileid);
        }
    }
}

#[test]
fn the_attributes_are_the_hosts() {
    let world = World::new();
    let listed = world.root().readdirplus(&world.at("package"), 0, 1 << 16).unwrap();
    let entries = listed.reply.entries.0;
    assert_eq!(entries.len(), 2 + 8);
    for entry in entries.into_iter().skip(2) {
        let name = String::from_utf8(entry.name.0.to_vec()).unwrap();
        assert_is(&entry.name_attributes.unwrap(), &world.metadata(&format!("package/{name}")));
    }
}

#[test]
fn a_reply_is_never_longer_than_the_client_can_take() {
    let world = World::new();
    for index in 0..300 {
        File::create(world.host(&format!("build/{}", "n".repeat(1 + index % 200)))).unwrap();
        File::create(world.host(&format!("build/{index}"))).unwrap();
    }
    let (mut client, build) = (world.root(), world.at("build"));
    for limit in [600, 1024, 4096, 32 << 10, u32::MAX] {
        let (mut cookie, mut count, mut end) = (0, 0, false);
        while !end {
            let page = client.readdirplus(&build, cookie, limit).unwrap();
            assert!(encode(&page).len() <= limit as usize);
            end = page.reply.eof;
            count += page.reply.entries.0.len();
            cookie = page.reply.entries.0.last().map_or(cookie, |entry| entry.cookie);
        }
        assert_eq!(count, 2 + 300 + 200, "with replies of {limit} bytes");
    }
}

#[test]
fn a_page_that_holds_no_entry_is_too_small() {
    let world = World::new();
    for limit in [0, 100, 250] {
        let done = world.root().readdirplus(&world.at("build"), 0, limit);
        assert_eq!(refused(done), nfsstat3::NFS3ERR_TOOSMALL, "{limit} bytes");
    }
}

#[test]
fn what_was_just_made_is_listed() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    for index in 0..20 {
        client.create(&build, format!("{index:02}").as_bytes(), guarded(0o644)).unwrap();
        let listed = client.readdirplus(&build, 0, 1 << 16).unwrap().reply.entries.0;
        assert_eq!(listed.len(), 2 + index + 1);
    }
}

#[test]
fn a_file_has_no_names_and_a_directory_that_is_gone_is_stale() {
    let world = World::new();
    let mut client = world.root();
    assert_eq!(refused(client.readdirplus(&world.at("file"), 0, 4096)), nfsstat3::NFS3ERR_NOTDIR);
    client.mkdir(&world.at("build"), b"dir", Default::default()).unwrap();
    let gone = world.at("build/dir");
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(refused(client.readdirplus(&gone, 0, 4096)), nfsstat3::NFS3ERR_STALE);
}
