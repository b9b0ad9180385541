//! Quotas: what a view's writable places may hold.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nfs_server::view::{BLOCK, Quota, ViewOptions};
use nfs3_types::nfs3::{FSSTAT3resok, nfs_fh3, nfsstat3};
use proptest::prelude::*;

use crate::calls::{mode, size};
use crate::client::{Client, refused};
use crate::world::{World, guarded, made, unchecked};

const NOSPC: nfsstat3 = nfsstat3::NFS3ERR_NOSPC;

/// A world in which so many blocks may be written, and so many inodes made.
fn limited(blocks: u64, inodes: u64) -> World {
    let quota = Quota { bytes: Some(blocks * BLOCK), inodes: Some(inodes) };
    World::opened(ViewOptions { quota, ..ViewOptions::default() })
}

fn space(world: &World) -> FSSTAT3resok {
    world.root().fsstat(&world.at("build")).unwrap()
}

/// Blocks and inodes that are left.
fn left(world: &World) -> (u64, u64) {
    let space = space(world);
    (space.fbytes / BLOCK, space.ffiles)
}

fn block(count: u64) -> Vec<u8> {
    vec![7; (count * BLOCK) as usize]
}

fn file(world: &World, name: &str) -> nfs_fh3 {
    made(world.root().create(&world.at("build"), name.as_bytes(), guarded(0o644)).unwrap())
}

#[test]
fn what_is_written_is_limited_to_the_byte_and_the_last_write_is_cut_there() {
    let world = limited(4, 9);
    let (mut client, it) = (world.root(), file(&world, "it"));
    assert_eq!(client.write(&it, 0, &block(3)).unwrap().count as u64, 3 * BLOCK);
    assert_eq!(client.write(&it, 3 * BLOCK, &block(2)).unwrap().count as u64, BLOCK);
    assert_eq!(refused(client.write(&it, 4 * BLOCK, b"x")), NOSPC);
    assert_eq!(world.metadata("build/it").size(), 4 * BLOCK);
    assert_eq!(client.write(&it, 0, &block(4)).unwrap().count as u64, 4 * BLOCK, "it is paid for already");
    client.remove(&world.at("build"), b"it").unwrap();
    assert_eq!(left(&world), (4, 9));
}

#[test]
fn a_large_write_is_cut_while_it_is_received() {
    let world = limited(100, 9);
    let (mut client, it) = (world.root(), file(&world, "it"));
    assert_eq!(client.write(&it, 0, &block(200)).unwrap().count as u64, 100 * BLOCK);
    assert_eq!(refused(client.write(&it, 100 * BLOCK, &block(200))), NOSPC);
    client.null();
    assert_eq!(fs::read(world.host("build/it")).unwrap(), block(100));
}

#[test]
fn a_new_file_that_is_too_long_is_not_made_and_takes_nothing() {
    let world = limited(10, 9);
    let (mut client, build) = (world.root(), world.at("build"));
    client.readdir(&build, 0, 4096).unwrap();
    assert_eq!(refused(client.create(&build, b"it", unchecked(size(11 * BLOCK)))), NOSPC);
    assert!(!world.host("build/it").exists());
    assert_eq!(left(&world), (10, 9));
    client.create(&build, b"it", unchecked(size(10 * BLOCK))).unwrap();
    assert_eq!(left(&world), (0, 8));
}

#[test]
fn a_hole_counts_as_if_it_were_written() {
    let world = limited(10, 9);
    let (mut client, it) = (world.root(), file(&world, "it"));
    client.write(&it, 8 * BLOCK, b"end").unwrap();
    assert_eq!(left(&world).0, 1);
    assert_eq!(refused(client.write(&it, 20 * BLOCK, b"x")), NOSPC);
    assert_eq!(left(&world).0, 1, "what was refused takes nothing");
    client.setattr(&it, size(10 * BLOCK)).unwrap();
    assert_eq!(refused(client.setattr(&it, size(10 * BLOCK + 1))), NOSPC);
    assert_eq!(world.metadata("build/it").size(), 10 * BLOCK);
    client.setattr(&it, size(5)).unwrap();
    assert_eq!(left(&world).0, 9);
}

#[test]
fn inodes_are_made_up_to_the_limit_and_their_removal_makes_room() {
    let world = limited(100, 3);
    let (mut client, build) = (world.root(), world.at("build"));
    client.mkdir(&build, b"directory", mode(0o755)).unwrap();
    client.symlink(&build, b"link", b"target").unwrap();
    file(&world, "file");
    assert_eq!(refused(client.create(&build, b"more", guarded(0o644))), NOSPC);
    assert_eq!(refused(client.mkdir(&build, b"more", mode(0o755))), NOSPC);
    assert_eq!(refused(client.symlink(&build, b"more", b"x")), NOSPC);
    assert!(!world.host("build/more").exists());
    client.rmdir(&build, b"directory").unwrap();
    file(&world, "more");
    assert_eq!(left(&world), (97, 0));
}

#[test]
fn a_name_that_is_taken_needs_no_inode() {
    let world = limited(100, 1);
    let (mut client, build) = (world.root(), world.at("build"));
    file(&world, "file");
    made(client.create(&build, b"file", unchecked(mode(0o644))).unwrap());
    assert_eq!(refused(client.create(&build, b"file", guarded(0o644))), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(refused(client.mkdir(&build, b"file", mode(0o755))), nfsstat3::NFS3ERR_EXIST);
    assert_eq!(left(&world), (99, 0));
}

#[test]
fn a_file_counts_once_whatever_links_it_has() {
    let world = limited(100, 2);
    let (mut client, build) = (world.root(), world.at("build"));
    let it = file(&world, "one");
    client.write(&it, 0, &block(5)).unwrap();
    client.link(&it, &build, b"two").unwrap();
    assert_eq!(left(&world), (95, 1));
    client.remove(&build, b"one").unwrap();
    assert_eq!(left(&world), (95, 1), "it has another name");
    client.remove(&build, b"two").unwrap();
    assert_eq!(left(&world), (100, 2));
}

#[test]
fn a_file_that_another_one_is_renamed_over_makes_room() {
    let world = limited(100, 3);
    let (mut client, build) = (world.root(), world.at("build"));
    for (name, blocks) in [("old", 30), ("new", 20)] {
        let it = file(&world, name);
        client.write(&it, 0, &block(blocks)).unwrap();
    }
    client.rename((&build, b"new"), (&build, b"old")).unwrap();
    assert_eq!(left(&world), (80, 2));
}

#[test]
fn a_file_that_is_deleted_while_open_counts_until_it_is_closed() {
    let world = limited(100, 3);
    let (mut client, build) = (world.root(), world.at("build"));
    let it = file(&world, "open");
    client.write(&it, 0, &block(5)).unwrap();
    let silly = format!(".nfs{:016x}{:08x}", client.getattr(&it).unwrap().fileid, 1);
    assert_eq!(refused(client.lookup(&build, silly.as_bytes())), nfsstat3::NFS3ERR_NOENT);
    client.rename((&build, b"open"), (&build, silly.as_bytes())).unwrap();
    assert_eq!(left(&world), (95, 2));
    client.remove(&build, silly.as_bytes()).unwrap();
    assert_eq!(left(&world), (100, 3));
}

#[test]
fn a_file_that_was_there_before_counts_as_far_as_it_grows() {
    let world = limited(3, 3);
    let mut client = world.root();
    let note = world.at("writable/note");
    assert_eq!(left(&world), (3, 3));
    client.write(&note, 0, &block(2)).unwrap();
    assert_eq!(left(&world), (2, 3));
    client.remove(&world.at("writable"), b"note").unwrap();
    let space = space(&world);
    assert_eq!((space.fbytes, space.tbytes, space.ffiles), (3 * BLOCK, 3 * BLOCK, 3), "never more than all");
}

#[test]
fn the_limit_is_the_size_of_the_file_system_where_it_counts() {
    let world = limited(1000, 50);
    for path in ["", "build", "writable/note", "etc"] {
        let done = world.root().fsstat(&world.at(path)).unwrap();
        assert_eq!(
            (done.tbytes, done.fbytes, done.abytes),
            (1000 * BLOCK, 1000 * BLOCK, 1000 * BLOCK),
            "{path}"
        );
        assert_eq!((done.tfiles, done.ffiles, done.afiles), (50, 50, 50), "{path}");
    }
    let read_only = world.root().fsstat(&world.at("package")).unwrap();
    assert_ne!((read_only.tbytes, read_only.tfiles), (1000 * BLOCK, 50), "nothing can be written there");
}

#[test]
fn what_many_write_at_once_is_exactly_what_there_is() {
    let world = limited(300, 100);
    let files: Vec<nfs_fh3> = (0..4).map(|index| file(&world, &format!("file{index}"))).collect();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (world, files) = (&world, &files);
            scope.spawn(move || fill(&mut world.root(), &files[(thread % 4) as usize], thread / 4));
        }
    });
    let sizes: u64 = (0..4).map(|index| world.metadata(&format!("build/file{index}")).size()).sum();
    assert_eq!((left(&world).0, sizes), (0, 300 * BLOCK));
    let build = world.at("build");
    for index in 0..4 {
        world.root().remove(&build, format!("file{index}").as_bytes()).unwrap();
    }
    assert_eq!(left(&world), (300, 100));
}

/// Writes every other block of a file until there are none left.
fn fill(client: &mut Client, file: &nfs_fh3, first: u64) {
    for number in 0.. {
        match client.write(file, (2 * number + first) * BLOCK, &block(1)) {
            Ok(done) => assert_eq!(u64::from(done.count), BLOCK),
            Err((status, _)) => return assert_eq!(status, NOSPC),
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Create(u8),
    Write(u8, u64, u64),
    Resize(u8, u64),
    Remove(u8),
    Rename(u8, u8),
    Link(u8, u8),
    MakeDirectory(u8),
    RemoveDirectory(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (name, bytes) = (0_u8..6, 0_u64..50_000);
    let step = prop_oneof![
        name.clone().prop_map(Step::Create),
        (name.clone(), bytes.clone(), bytes.clone()).prop_map(|(name, at, len)| Step::Write(name, at, len)),
        (name.clone(), bytes).prop_map(|(name, size)| Step::Resize(name, size)),
        name.clone().prop_map(Step::Remove),
        (name.clone(), name.clone()).prop_map(|(from, to)| Step::Rename(from, to)),
        (name.clone(), name.clone()).prop_map(|(from, to)| Step::Link(from, to)),
        name.clone().prop_map(Step::MakeDirectory),
        name.prop_map(Step::RemoveDirectory),
    ];
    prop::collection::vec(step, 1..60)
}

/// Carries a step out, as far as that is possible.
fn take(step: &Step, client: &mut Client, build: &nfs_fh3) {
    let name = |number: &u8| vec![b'a' + number];
    let mut find = |number: &u8| client.lookup(build, &name(number)).ok().map(|found| found.object);
    match step {
        Step::Create(it) => drop(client.create(build, &name(it), unchecked(size(0)))),
        Step::Write(it, at, len) => {
            if let Some(it) = find(it) {
                drop(client.write(&it, *at, &vec![1; *len as usize]));
            }
        }
        Step::Resize(it, to) => {
            if let Some(it) = find(it) {
                drop(client.setattr(&it, size(*to)));
            }
        }
        Step::Remove(it) => drop(client.remove(build, &name(it))),
        Step::Rename(from, to) => drop(client.rename((build, &name(from)), (build, &name(to)))),
        Step::Link(from, to) => {
            if let Some(from) = find(from) {
                drop(client.link(&from, build, &name(to)));
            }
        }
        Step::MakeDirectory(it) => drop(client.mkdir(build, &name(it), mode(0o755))),
        Step::RemoveDirectory(it) => drop(client.rmdir(build, &name(it))),
    }
}

/// Blocks and inodes below a directory of the host.
fn used(directory: &Path) -> (u64, u64) {
    let mut inodes = std::collections::BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let metadata = entry.unwrap().path().symlink_metadata().unwrap();
        let blocks = if metadata.is_file() { metadata.size().div_ceil(BLOCK).max(1) } else { 1 };
        inodes.insert(metadata.ino(), blocks);
    }
    (inodes.values().sum(), inodes.len() as u64)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_left_is_always_what_is_not_there(steps in steps()) {
        let world = limited(40, 4);
        let (mut client, build) = (world.root(), world.at("build"));
        for step in &steps {
            take(step, &mut client, &build);
            let ((blocks, inodes), (blocks_left, inodes_left)) = (used(&world.host("build")), left(&world));
            prop_assert_eq!((blocks + blocks_left, inodes + inodes_left), (40, 4), "after {:?}", step);
        }
    }
}
