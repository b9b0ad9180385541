//! READ.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nfs3_types::nfs3::nfsstat3;

use crate::calls::mode;
use crate::client::{Client, refused};
use crate::world::World;

const MIB: usize = 1 << 20;

fn read(client: &mut Client, world: &World, path: &str, offset: u64, count: u32) -> (Vec<u8>, bool) {
    let done = client.read(&world.at(path), offset, count).unwrap();
    assert_eq!(done.count as usize, done.data.len());
    (done.data.to_vec(), done.eof)
}

#[test]
fn the_end_is_told_when_it_was_reached_and_not_before() {
    let world = World::new();
    for path in ["package/hello", "file", "writable/note"] {
        let text = fs::read(world.host(if path == "file" { "package/hello" } else { path })).unwrap();
        let length = text.len() as u32;
        let read = |offset, count| read(&mut world.root(), &world, path, offset, count);
        assert_eq!(read(0, 100), (text.clone(), true));
        assert_eq!(read(0, length), (text.clone(), true), "{path}: offset and count add up to the size");
        assert_eq!(read(1, 2), (text[1..3].to_vec(), false));
        assert_eq!(read(text.len() as u64, 10), (vec![], true));
        assert_eq!(read(1 << 40, 10), (vec![], true));
        assert_eq!(read(u64::MAX, 10), (vec![], true));
        assert_eq!(read(0, 0), (vec![], false));
    }
}

#[test]
fn an_inline_file_reads_like_any_other() {
    let world = World::new();
    let read = |offset, count| read(&mut world.builder(), &world, "etc/passwd", offset, count);
    assert_eq!(read(0, 100), (b"root:x:0:0\n".to_vec(), true));
    assert_eq!(read(0, 11), (b"root:x:0:0\n".to_vec(), true));
    assert_eq!(read(5, 1), (b"x".to_vec(), false));
    assert_eq!(read(u64::MAX, 1), (vec![], true));
}

#[test]
fn large_reads_come_whole_up_to_one_mebibyte() {
    let world = World::new();
    let data: Vec<u8> = (0..3 * MIB as u32).map(|index| (index % 251) as u8).collect();
    fs::write(world.host("package/large"), &data).unwrap();
    let read = |offset, count| read(&mut world.root(), &world, "package/large", offset, count);
    for count in [1, 3, 32 << 10, (32 << 10) + 1, MIB - 1, MIB] {
        assert_eq!(read(5, count as u32), (data[5..5 + count].to_vec(), false), "{count} bytes");
    }
    assert_eq!(read(0, u32::MAX), (data[..MIB].to_vec(), false), "no more than the server's limit");
    assert_eq!(read(2 * MIB as u64 + 1, MIB as u32), (data[2 * MIB + 1..].to_vec(), true));
}

#[test]
fn offsets_have_64_bits() {
    let world = World::new();
    let offset = (5 << 30) + 1;
    File::create(world.host("package/sparse")).unwrap().write_all_at(b"far away", offset).unwrap();
    assert_eq!(read(&mut world.root(), &world, "package/sparse", offset, 3), (b"far".to_vec(), false));
    assert_eq!(read(&mut world.root(), &world, "package/sparse", 1, 3), (vec![0; 3], false));
}

#[test]
fn several_large_reads_at_once_are_answered_in_order() {
    let world = World::new();
    fs::write(world.host("package/large"), vec![7; MIB]).unwrap();
    let (file, mut client) = (world.at("package/large"), world.root());
    let calls: Vec<Vec<u8>> = (0..8_u64)
        .map(|index| {
            let arguments = nfs3_types::nfs3::READ3args {
                file: file.clone(),
                offset: index,
                count: if index % 2 == 0 { MIB as u32 } else { 5 },
            };
            client.next_call(nfs3_types::nfs3::PROGRAM, 3, 6, &arguments)
        })
        .collect();
    for call in &calls {
        client.send(call).unwrap();
    }
    for (index, call) in calls.iter().enumerate() {
        let reply = client.receive().unwrap();
        assert_eq!(reply[..4], call[..4]);
        let length = if index % 2 == 0 { MIB - index } else { 5 };
        assert!(reply.len() - length < 100, "{} bytes for {length}", reply.len());
    }
}

#[test]
fn the_mode_decides_and_whoever_may_run_a_file_may_read_it() {
    let world = World::new();
    let mut builder = world.builder();
    let private = world.at("package/private");
    assert_eq!(refused(builder.read(&private, 0, 10)), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(read(&mut world.root(), &world, "package/private", 0, 10).0, b"root's\n");
    assert_eq!(read(&mut builder, &world, "package/only-run", 0, 6).0, b"secret");
}

#[test]
fn the_owner_reads_on_after_a_change_of_mode() {
    let world = World::new();
    let file = world.builders_file("build/own", b"mine", 0o600);
    world.builder().setattr(&file, mode(0)).unwrap();
    assert_eq!(read(&mut world.builder(), &world, "build/own", 0, 9).0, b"mine");
}

#[test]
fn only_regular_files_have_data() {
    let world = World::new();
    let mut client = world.root();
    assert_eq!(refused(client.read(&world.at("package"), 0, 1)), nfsstat3::NFS3ERR_ISDIR);
    assert_eq!(refused(client.read(&world.at("empty"), 0, 1)), nfsstat3::NFS3ERR_ISDIR);
    assert_eq!(refused(client.read(&world.at("package/link"), 0, 1)), nfsstat3::NFS3ERR_INVAL);
    assert_eq!(refused(client.read(&world.at("dev/null"), 0, 1)), nfsstat3::NFS3ERR_INVAL);
}

#[test]
fn a_file_that_is_gone_is_stale() {
    let world = World::new();
    let file = world.at("package/deep/down");
    fs::remove_file(world.host("package/deep/down")).unwrap();
    assert_eq!(refused(world.root().read(&file, 0, 1)), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn a_large_part_of_a_file_is_for_those_alone_who_may_read_it() {
    let world = World::new();
    let file = world.builders_file("build/file", &vec![7; MIB], 0o640);
    let mut other = world.root();
    other.become_user(2000, 2000, &[]);
    for count in [1, 64 << 10, MIB as u32] {
        assert_eq!(refused(other.read(&file, 0, count)), nfsstat3::NFS3ERR_ACCES, "{count} bytes");
    }
    world.root().setattr(&file, mode(0o644)).unwrap();
    assert_eq!(other.read(&file, 0, MIB as u32).unwrap().data.len(), MIB);
}
