//! Calls that wait for a disk, and what goes on meanwhile.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;

use nfs3_types::nfs3::{
    COMMIT3args, GETATTR3args, PROGRAM, READ3args, VERSION, WRITE3args, nfs_fh3, stable_how,
};
use nfs3_types::xdr_codec::Opaque;
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use crate::client::{Client, fragment};
use crate::world::World;

const MIB: usize = 1 << 20;

fn commit(client: &mut Client, file: &nfs_fh3) -> Vec<u8> {
    client.next_call(PROGRAM, VERSION, 21, &COMMIT3args { file: file.clone(), offset: 0, count: 0 })
}

fn synchronous_write(client: &mut Client, file: &nfs_fh3, data: &[u8]) -> Vec<u8> {
    let (file, count) = (file.clone(), data.len() as u32);
    let stable = stable_how::FILE_SYNC;
    let arguments = WRITE3args { file, offset: 0, count, stable, data: Opaque::borrowed(data) };
    client.next_call(PROGRAM, VERSION, 7, &arguments)
}

/// The numbers of the next replies.
fn numbers(client: &mut Client, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|_| client.receive().unwrap()[..4].to_vec()).collect()
}

#[test]
fn a_commit_that_waits_does_not_hold_up_the_call_behind_it() {
    let world = World::new();
    let (file, mut client) = (world.at("writable/note"), world.root());
    std::fs::write(world.host("writable/note"), vec![7; 64 * MIB]).unwrap();
    let slow = commit(&mut client, &file);
    let quick = client.next_call(PROGRAM, VERSION, 1, &GETATTR3args { object: file });
    client.stream.write_all(&[fragment(&slow, true), fragment(&quick, true)].concat()).unwrap();
    assert_eq!(numbers(&mut client, 2), [&quick[..4], &slow[..4]]);
    assert_eq!(world.server.calls().blocking(), 1);
}

#[test]
fn data_that_is_not_in_memory_is_the_same_data() {
    let world = World::new();
    let contents: Vec<u8> = (0..3 * MIB).map(|index| (index / 7) as u8).collect();
    let path = world.host("package/cold");
    std::fs::write(&path, &contents).unwrap();
    let host = File::open(&path).unwrap();
    host.sync_all().unwrap();
    for place in ["package/cold", "store/package/cold"] {
        posix_fadvise(&host, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED).unwrap();
        let (file, mut client) = (world.at(place), world.root());
        for (offset, count) in [(0, 4096), (2 * MIB, MIB), (MIB - 7, 100_000), (3 * MIB - 5, 4096)] {
            let end = contents.len().min(offset + count);
            let read = client.read(&file, offset as u64, count as u32).unwrap();
            assert_eq!(read.eof, end == contents.len());
            assert!(*read.data.0 == contents[offset..end], "{count} bytes at {offset}");
        }
    }
}

#[test]
fn more_waiting_calls_than_there_is_room_for_are_all_answered_once() {
    let world = World::new();
    let (file, mut client) = (world.at("writable/note"), world.root());
    let data = vec![1; MIB];
    let mut calls = Vec::new();
    for index in 0..24 {
        calls.push(match index % 3 {
            0 => synchronous_write(&mut client, &file, &data),
            1 => commit(&mut client, &file),
            _ => client.next_call(
                PROGRAM,
                VERSION,
                6,
                &READ3args { file: file.clone(), offset: 0, count: 4096 },
            ),
        });
    }
    let sent: BTreeSet<Vec<u8>> = calls.iter().map(|call| call[..4].to_vec()).collect();
    let mut receiving = Client::over(client.stream.try_clone().unwrap());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for call in &calls {
                client.send(call).unwrap();
            }
        });
        let answered: BTreeSet<Vec<u8>> = numbers(&mut receiving, sent.len()).into_iter().collect();
        assert_eq!(answered, sent);
    });
}

#[test]
fn a_peer_that_goes_while_its_calls_wait_leaves_nothing_running() {
    let world = World::new();
    let (file, mut client) = (world.at("writable/note"), world.root());
    std::fs::write(world.host("writable/note"), vec![7; 16 * MIB]).unwrap();
    for _ in 0..40 {
        let call = commit(&mut client, &file);
        client.send(&call).unwrap();
    }
    drop(client);
    world.root().getattr(&file).unwrap();
    // Returns when no thread is left.
    let World { server, .. } = world;
    assert!(server.stop().blocking() <= 40);
}
