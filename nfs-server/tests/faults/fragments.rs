//! Records in many pieces, and records that are too long.

use std::io::Write;

use nfs3_types::nfs3::{PROGRAM, VERSION, WRITE3args, stable_how};
use nfs3_types::xdr_codec::{Opaque, Void};

use crate::client::{Answer, answer, fragment};
use crate::world::World;

#[test]
fn a_record_may_come_in_up_to_64_fragments() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o666);
    let mut client = world.builder();
    let text: Vec<u8> = (0..100_000_u32).map(|index| (index % 247) as u8).collect();
    for count in [1, 2, 63, 64] {
        let stable = stable_how::UNSTABLE;
        let data = Opaque::borrowed(&text);
        let write = WRITE3args { file: file.clone(), offset: 0, count: text.len() as u32, stable, data };
        let record = client.next_call(PROGRAM, VERSION, 7, &write);
        let pieces: Vec<&[u8]> = record.chunks(record.len().div_ceil(count)).collect();
        for (index, piece) in pieces.iter().enumerate() {
            client.stream.write_all(&fragment(piece, index + 1 == pieces.len())).unwrap();
        }
        let reply = client.receive().unwrap();
        assert!(matches!(answer(&record, &reply), Answer::Done(_)), "{count} fragments");
        assert_eq!(std::fs::read(world.host("build/file")).unwrap(), text);
        std::fs::write(world.host("build/file"), "").unwrap();
    }
}

#[test]
fn more_fragments_end_the_connection() {
    let world = World::new();
    let mut client = world.root();
    // All of them at once: the server may hang up as soon as it has seen enough.
    let _ = client.stream.write_all(&fragment(b"", false).repeat(65));
    assert!(client.is_ended());
    world.root().null();
}

#[test]
fn a_record_that_says_it_is_too_long_ends_the_connection_before_it_comes() {
    let world = World::new();
    for header in [u32::MAX, 0x7fff_ffff, (1 << 31) | ((1 << 20) + 4097), (1 << 20) + 4097] {
        let mut client = world.root();
        client.stream.write_all(&header.to_be_bytes()).unwrap();
        assert!(client.is_ended(), "{header:#x}");
    }
    world.root().null();
}

#[test]
fn a_record_that_drips_in_byte_by_byte_is_answered() {
    let world = World::new();
    let mut client = world.root();
    let record = client.next_call(PROGRAM, VERSION, 0, &Void);
    for byte in fragment(&record, true) {
        client.stream.write_all(&[byte]).unwrap();
    }
    let reply = client.receive().unwrap();
    assert!(matches!(answer(&record, &reply), Answer::Done(_)));
}

#[test]
fn many_calls_in_one_packet_are_all_answered_in_order() {
    let world = World::new();
    let mut client = world.root();
    let records: Vec<Vec<u8>> = (0..5000).map(|_| client.next_call(PROGRAM, VERSION, 0, &Void)).collect();
    let all: Vec<u8> = records.iter().flat_map(|record| fragment(record, true)).collect();
    std::thread::scope(|scope| {
        let mut stream = client.stream.try_clone().unwrap();
        scope.spawn(move || stream.write_all(&all).unwrap());
        for record in &records {
            assert_eq!(client.receive().unwrap()[..4], record[..4]);
        }
    });
}
