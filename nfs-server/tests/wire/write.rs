//! WRITE.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nfs3_types::nfs3::{NFS_PROGRAM, WRITE3args, WRITE3res, nfsstat3, stable_how};
use nfs3_types::xdr_codec::Opaque;

use crate::calls::mode;
use crate::client::{Answer, encode, given, refused};
use crate::world::{World, assert_changed};

#[test]
fn data_lands_where_it_belongs_and_the_change_is_told() {
    let world = World::new();
    let file = world.builders_file("build/file", b"0123456789", 0o644);
    let mut client = world.builder();
    let before = client.getattr(&file).unwrap();
    let done = client.write(&file, 4, b"four").unwrap();
    assert_eq!((done.count, done.committed), (4, stable_how::FILE_SYNC), "in a scratch, written is done");
    assert_changed(&done.file_wcc, &before, &world.metadata("build/file"));
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"0123four89");
}

#[test]
fn a_whole_mebibyte_goes_at_once() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let data: Vec<u8> = (0..1_u32 << 20).map(|index| (index % 253) as u8).collect();
    assert_eq!(world.builder().write(&file, 3, &data).unwrap().count, 1 << 20);
    assert_eq!(fs::read(world.host("build/file")).unwrap()[3..], data);
}

#[test]
fn nothing_may_be_written() {
    let world = World::new();
    let file = world.builders_file("build/file", b"abc", 0o644);
    assert_eq!(world.builder().write(&file, 1, b"").unwrap().count, 0);
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"abc");
}

#[test]
fn offsets_have_64_bits_and_the_hosts_limit_is_told() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let mut client = world.builder();
    client.write(&file, 5 << 30, b"end").unwrap();
    assert_eq!(world.metadata("build/file").size(), (5 << 30) + 3);
    assert_eq!(client.read(&file, 5 << 30, 9).unwrap().data.to_vec(), b"end");
    for offset in [u64::MAX, 1 << 63, (1 << 63) - 1] {
        assert_eq!(refused(client.write(&file, offset, b"x")), nfsstat3::NFS3ERR_FBIG, "at {offset}");
    }
}

#[test]
fn a_writable_graft_is_as_durable_as_asked() {
    let world = World::new();
    let file = world.at("writable/note");
    let mut client = world.root();
    for stable in [stable_how::UNSTABLE, stable_how::DATA_SYNC, stable_how::FILE_SYNC] {
        let done = client.write_stable(&file, 0, b"NOTE", stable).unwrap();
        assert!(done.committed as u32 >= stable as u32);
        assert_eq!(done.committed == stable_how::UNSTABLE, stable == stable_how::UNSTABLE);
    }
    assert_eq!(fs::read(world.host("writable/note")).unwrap(), b"NOTE\n");
}

#[test]
fn read_only_places_are_read_only_for_root_too() {
    let world = World::new();
    for path in ["package/hello", "file", "store/package/hello", "etc/passwd", "dev/null", "package", ""] {
        let done = world.root().write(&world.at(path), 0, b"x");
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{path}");
    }
    assert_eq!(fs::read(world.host("package/hello")).unwrap(), b"hello\n");
}

#[test]
fn only_regular_files_take_data() {
    let world = World::new();
    let mut client = world.root();
    client.symlink(&world.at("build"), b"link", b"x").unwrap();
    assert_eq!(refused(client.write(&world.at("build"), 0, b"x")), nfsstat3::NFS3ERR_ISDIR);
    assert_eq!(refused(client.write(&world.at("build/link"), 0, b"x")), nfsstat3::NFS3ERR_INVAL);
}

#[test]
fn the_owner_writes_whatever_the_mode_says_and_others_by_mode() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o600);
    let mut other = world.root();
    other.become_user(2000, 2000, &[]);
    assert_eq!(refused(other.write(&file, 0, b"x")), nfsstat3::NFS3ERR_ACCES);
    world.builder().setattr(&file, mode(0o444)).unwrap();
    world.builder().write(&file, 0, b"mine").unwrap();
    world.builder().setattr(&file, mode(0o646)).unwrap();
    other.write(&file, 0, b"ours").unwrap();
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"ours");
}

#[test]
fn a_count_that_is_not_the_datas_length_is_invalid() {
    let world = World::new();
    let file = world.builders_file("build/file", b"abc", 0o644);
    let mut client = world.builder();
    for count in [0, 1, 3, u32::MAX] {
        let data = Opaque::borrowed(b"xy");
        let stable = stable_how::UNSTABLE;
        let arguments = WRITE3args { file: file.clone(), offset: 0, count, stable, data };
        let done: WRITE3res = client.nfs(NFS_PROGRAM::NFSPROC3_WRITE, &arguments);
        assert_eq!(refused(given(done)), nfsstat3::NFS3ERR_INVAL);
    }
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"abc");
}

#[test]
fn a_stability_that_does_not_exist_is_refused() {
    let world = World::new();
    let file = world.builders_file("build/file", b"abc", 0o644);
    let mut client = world.builder();
    let (data, stable) = (Opaque::borrowed(b"xy"), stable_how::FILE_SYNC);
    let arguments = WRITE3args { file, offset: 0, count: 2, stable, data };
    let mut record = client.next_call(100_003, 3, 7, &arguments);
    let place = record.len() - encode(&Opaque::borrowed(b"xy")).len() - 1;
    record[place] = 3;
    let Answer::Done(result) = client.ask(&record) else { panic!("it was not answered by the procedure") };
    assert_eq!(result[..4], (nfsstat3::NFS3ERR_INVAL as u32).to_be_bytes());
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"abc");
}

#[test]
fn the_verifier_stays_the_same_and_commits_carry_it_too() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let mut client = world.builder();
    let first = client.write(&file, 0, b"a").unwrap().verf;
    assert_eq!(client.write(&file, 1, b"b").unwrap().verf, first);
    assert_eq!(client.commit(&file).unwrap().verf, first);
}
