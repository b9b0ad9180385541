//! Memory: no length that a peer names, and nothing that it leaves undone, is paid for with memory.

use std::io::Write;
use std::time::Duration;

use nfs3_types::nfs3::{PROGRAM, READ3args, VERSION};
use nfs3_types::xdr_codec::Void;

use crate::alone;
use crate::client::{Client, fragment};
use crate::world::World;

/// What a few connections with their buffers may take, in bytes. The lies below name gigabytes.
const SLACK: u64 = 24 << 20;

/// Bytes of memory that the process has.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Asserts that memory does not grow while `act` runs and its connections are open.
#[track_caller]
fn assert_bounded<T>(act: impl FnOnce() -> T) {
    let before = resident();
    let kept = act();
    let grown = resident().saturating_sub(before);
    assert!(grown < SLACK, "{} MiB more than before", grown >> 20);
    drop(kept);
}

#[test]
fn four_bytes_that_announce_two_gigabytes_cost_nothing() {
    let _alone = alone();
    let world = World::new();
    world.root().null();
    assert_bounded(|| {
        for header in [0x7fff_ffff_u32, 0xffff_ffff, 0x8000_0000 | (1 << 30)] {
            let mut client = world.root();
            client.stream.write_all(&header.to_be_bytes()).unwrap();
            assert!(client.is_ended());
        }
    });
}

#[test]
fn lengths_inside_a_call_that_announce_gigabytes_cost_nothing() {
    let _alone = alone();
    let world = World::new();
    let mut client = world.root();
    client.null();
    assert_bounded(|| {
        // MNT with a path, GETATTR with a handle, and each with its credentials' length and their count of groups.
        for (program, procedure) in [(100_005, 1), (PROGRAM, 1), (PROGRAM, 7), (PROGRAM, 10)] {
            let mut whole = client.next_call(program, VERSION, procedure, &Void);
            let (credentials, groups) = (7 * 4, 13 * 4);
            whole.extend([0xff; 60]);
            for place in [credentials, groups, whole.len() - 60] {
                for lie in [u32::MAX, i32::MAX as u32, 1 << 30] {
                    let mut spoiled = whole.clone();
                    spoiled[place..place + 4].copy_from_slice(&lie.to_be_bytes());
                    client.ask(&spoiled);
                }
            }
        }
    });
}

#[test]
fn what_was_seen_of_twenty_thousand_files_takes_less_than_seven_mebibytes() {
    const DIRECTORIES: usize = 200;
    const FILES: usize = 100;
    let _alone = alone();
    let world = World::new();
    for directory in 0..DIRECTORIES {
        let directory = world.host("package").join(format!("directory-{directory}"));
        std::fs::create_dir(&directory).unwrap();
        for file in 0..FILES {
            std::fs::File::create(directory.join(format!("some-file-name-{file}.h"))).unwrap();
        }
    }
    let mut client = world.root();
    let package = world.at("store/package");
    // The first listing takes buffers on both sides, which stay.
    let directories = client.readdirplus(&package, 0, 1 << 20).unwrap().reply.entries.0;
    let before = resident();
    for entry in directories {
        if entry.name.0.starts_with(b"directory") {
            let listed = client.readdirplus(&entry.name_handle.unwrap(), 0, 1 << 20).unwrap();
            assert_eq!(listed.reply.entries.0.len(), FILES + 2);
        }
    }
    let grown = resident().saturating_sub(before);
    // 64 MiB for 200,000 files, in proportion.
    assert!(grown < 7 << 20, "{} KiB more than before", grown >> 10);
}

#[test]
fn reading_more_than_there_may_be_costs_one_buffer() {
    let _alone = alone();
    let world = World::new();
    let file = world.host("package/sparse");
    std::fs::File::create(&file).unwrap().set_len(8 << 30).unwrap();
    let (file, mut client) = (world.at("package/sparse"), world.root());
    assert_bounded(|| assert_eq!(client.read(&file, 0, u32::MAX).unwrap().count, 1 << 20));
}

#[test]
fn a_peer_that_never_takes_its_replies_is_not_read_from() {
    let _alone = alone();
    let world = World::new();
    std::fs::write(world.host("package/large"), vec![1; 1 << 20]).unwrap();
    let file = world.at("package/large");
    let mut client = world.root();
    client.null();
    client.stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_bounded(|| {
        let mut sent = 0;
        loop {
            let arguments = READ3args { file: file.clone(), offset: 0, count: 1 << 20 };
            let record = client.next_call(PROGRAM, VERSION, 6, &arguments);
            if client.stream.write_all(&fragment(&record, true)).is_err() {
                break;
            }
            sent += 1;
        }
        assert!(sent > 100, "more than a hundred replies of a mebibyte were asked for");
    });
    world.root().null();
}

#[test]
fn records_that_never_end_cost_their_connections_buffers() {
    let _alone = alone();
    let world = World::new();
    world.root().null();
    assert_bounded(|| {
        let part = fragment(&vec![0; 400 << 10], true);
        let mut clients: Vec<Client> = (0..20).map(|_| world.root()).collect();
        for client in &mut clients {
            client.stream.write_all(&part[..300 << 10]).unwrap();
        }
        world.root().null();
        clients
    });
}
