//! READDIR, and the rules of listings that READDIRPLUS shares.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nfs3_types::nfs3::{READDIR3resok, nfs_fh3, nfsstat3};

use crate::client::{Client, encode, refused};
use crate::world::{World, assert_is, guarded};

/// All entries of a directory, in pages of `count` bytes: each one's name, cookie and file id.
fn list(client: &mut Client, directory: &nfs_fh3, count: u32) -> Vec<(String, u64, u64)> {
    let mut all = Vec::new();
    let mut cookie = 0;
    loop {
        let page = client.readdir(directory, cookie, count).unwrap();
        assert!(encode(&page).len() <= count as usize, "a reply longer than the client can take");
        let end = page.reply.eof;
        for entry in page.reply.entries.0 {
            assert!(entry.cookie > cookie, "cookies increase");
            cookie = entry.cookie;
            all.push((String::from_utf8(entry.name.0.to_vec()).unwrap(), cookie, entry.fileid));
        }
        if end {
            return all;
        }
    }
}

fn names(client: &mut Client, directory: &nfs_fh3, count: u32) -> Vec<String> {
    list(client, directory, count).into_iter().map(|(name, ..)| name).collect()
}

fn page(client: &mut Client, directory: &nfs_fh3, cookie: u64, count: u32) -> (Vec<String>, u64) {
    let page: READDIR3resok = client.readdir(directory, cookie, count).unwrap();
    let entries = page.reply.entries.0;
    let last = entries.last().map_or(cookie, |entry| entry.cookie);
    (entries.iter().map(|entry| String::from_utf8_lossy(&entry.name.0).into_owned()).collect(), last)
}

#[test]
fn declared_directories_list_what_was_declared() {
    let world = World::new();
    let mut client = world.root();
    let all =
        [".", "..", "bin", "build", "dev", "empty", "etc", "file", "owned", "package", "store", "writable"];
    assert_eq!(names(&mut client, &world.mount(), 4096), all);
    assert_eq!(names(&mut client, &world.at("empty"), 4096), [".", ".."]);
}

#[test]
fn host_directories_list_what_the_host_has_with_its_inode_numbers() {
    let world = World::new();
    let listed = list(&mut world.root(), &world.at("package"), 4096);
    let found: BTreeSet<(String, u64)> =
        listed[2..].iter().map(|(name, _, fileid)| (name.clone(), *fileid)).collect();
    let host: BTreeSet<(String, u64)> = fs::read_dir(world.host("package"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().ino()))
        .collect();
    assert_eq!(found, host);
    assert_eq!(listed[0].2, world.metadata("package").ino());
    let root = world.root().getattr(&world.mount()).unwrap().fileid;
    assert_eq!(listed[1].2, root, "the parent is the view's, not the host's");
}

#[test]
fn a_scratch_lists_its_entries_and_then_what_was_made_once_each() {
    let world = World::new();
    world.builders_file("store/made", b"", 0o644);
    assert_eq!(names(&mut world.root(), &world.at("store"), 4096), [".", "..", "package", "made"]);
}

#[test]
fn the_directorys_attributes_come_along() {
    let world = World::new();
    // Listing it changes when it was last read on the host, of which a scratch's client is not told.
    let before = world.metadata("build");
    let done = world.root().readdir(&world.at("build"), 0, 4096).unwrap();
    assert_is(&done.dir_attributes.unwrap(), &before);
}

#[test]
fn every_page_size_gives_the_same_names() {
    let world = World::new();
    for index in 0..50 {
        File::create(world.host(&format!("build/{}", "n".repeat(1 + index * 5)))).unwrap();
    }
    let (mut client, build) = (world.root(), world.at("build"));
    let all = names(&mut client, &build, 1 << 20);
    assert_eq!(all.len(), 52);
    for count in [512, 700, 1001, 4096] {
        assert_eq!(names(&mut client, &build, count), all);
    }
}

#[test]
fn every_page_size_gives_the_same_declared_names() {
    let world = World::new();
    let (mut client, root) = (world.root(), world.mount());
    let all = names(&mut client, &root, 4096);
    assert_eq!(all.len(), 12);
    // The smallest page holds the longest name and no other one.
    for count in [104 + 32, 104 + 2 * 32, 300] {
        assert_eq!(names(&mut client, &root, count), all, "{count} bytes");
    }
}

#[test]
fn a_page_that_holds_no_entry_is_too_small() {
    let world = World::new();
    File::create(world.host(&format!("build/{}", "n".repeat(255)))).unwrap();
    let (mut client, build) = (world.root(), world.at("build"));
    for count in [0, 1, 104, 104 + 4 + 8 + 4 + 4 + 7] {
        assert_eq!(refused(client.readdir(&build, 0, count)), nfsstat3::NFS3ERR_TOOSMALL, "{count} bytes");
    }
    let (found, cookie) = page(&mut client, &build, 0, 104 + 28 * 2);
    assert_eq!(found, [".", ".."]);
    assert_eq!(refused(client.readdir(&build, cookie, 300)), nfsstat3::NFS3ERR_TOOSMALL);
}

#[test]
fn a_cookie_behind_the_last_name_ends_the_list() {
    let world = World::new();
    let done = world.root().readdir(&world.at("build"), u64::MAX, 4096).unwrap();
    assert!(done.reply.entries.0.is_empty() && done.reply.eof);
}

#[test]
fn deleting_while_listing_neither_skips_nor_repeats_a_name() {
    let world = World::new();
    for index in 0..400 {
        File::create(world.host(&format!("build/{index:03}"))).unwrap();
    }
    let (mut client, build) = (world.root(), world.at("build"));
    let (mut cookie, mut seen) = (0, Vec::new());
    loop {
        let (found, last) = page(&mut client, &build, cookie, 600);
        if found.is_empty() {
            break;
        }
        for name in found.iter().filter(|name| !name.starts_with('.')) {
            client.remove(&build, name.as_bytes()).unwrap();
            seen.push(name.clone());
        }
        cookie = last;
    }
    seen.sort();
    assert_eq!(seen, (0..400).map(|index| format!("{index:03}")).collect::<Vec<_>>());
    assert_eq!(names(&mut client, &build, 4096), [".", ".."]);
}

#[test]
fn names_that_stay_keep_their_cookies_while_others_come_and_go() {
    let world = World::new();
    for index in 0..100 {
        File::create(world.host(&format!("build/stays{index}"))).unwrap();
        File::create(world.host(&format!("build/goes{index}"))).unwrap();
    }
    let (mut client, build) = (world.root(), world.at("build"));
    let staying = |client: &mut Client| -> BTreeSet<(String, u64, u64)> {
        list(client, &build, 8192).into_iter().filter(|(name, ..)| name.starts_with("stays")).collect()
    };
    let before = staying(&mut client);
    for index in 0..100 {
        client.remove(&build, format!("goes{index}").as_bytes()).unwrap();
        client.create(&build, format!("comes{index}").as_bytes(), guarded(0o600)).unwrap();
        client
            .rename((&build, format!("comes{index}").as_bytes()), (&build, format!("came{index}").as_bytes()))
            .unwrap();
    }
    assert_eq!(staying(&mut client), before);
    assert_eq!(list(&mut client, &build, 8192).len(), 2 + 200);
}

#[test]
fn a_hundred_thousand_names_are_each_listed_once() {
    let world = World::new();
    let directory = world.host("build/many");
    fs::create_dir(&directory).unwrap();
    for group in 0..1000 {
        // Mostly further links: they cost the host a fraction of new files.
        let file = directory.join(format!("{group}"));
        File::create(&file).unwrap();
        for index in 1..100 {
            fs::hard_link(&file, directory.join(format!("{group}-{index}"))).unwrap();
        }
    }
    let listed = names(&mut world.root(), &world.at("build/many"), 1 << 20);
    assert_eq!(listed.len(), 100_002);
    let distinct: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(distinct.len(), 100_002);
}

#[test]
fn listing_needs_the_right_to_read_the_directory() {
    let world = World::new();
    fs::set_permissions(world.host("package/deep"), fs::Permissions::from_mode(0o711)).unwrap();
    let deep = world.at("package/deep");
    assert_eq!(refused(world.builder().readdir(&deep, 0, 4096)), nfsstat3::NFS3ERR_ACCES);
    world.root().readdir(&deep, 0, 4096).unwrap();
}

#[test]
fn a_file_has_no_names() {
    let world = World::new();
    for path in ["file", "package/hello", "package/link", "etc/passwd"] {
        let done = world.root().readdir(&world.at(path), 0, 4096);
        assert_eq!(refused(done), nfsstat3::NFS3ERR_NOTDIR, "{path}");
    }
}
