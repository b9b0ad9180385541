//! Large WRITEs, whose data is taken as it comes.

use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nfs3_types::nfs3::{PROGRAM, VERSION, WRITE3args, WRITE3resok, nfs_fh3, nfsstat3, stable_how, wcc_data};
use nfs3_types::xdr_codec::Opaque;
use proptest::prelude::*;

use crate::client::{Answer, Client, answer, decode, encode, fragment};
use crate::world::World;

/// As much as a kernel sends at once.
const MIB: usize = 1 << 20;
/// More than the server needs of a call to begin with it, and far less than all of it.
const BEGINNING: usize = 40_000;
/// How long a test waits for what the server does by itself.
const PATIENCE: Duration = Duration::from_secs(20);

fn contents(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

fn call(client: &mut Client, file: &nfs_fh3, offset: u64, data: &[u8]) -> Vec<u8> {
    let (file, count, stable) = (file.clone(), data.len() as u32, stable_how::UNSTABLE);
    client.next_call(
        PROGRAM,
        VERSION,
        7,
        &WRITE3args { file, offset, count, stable, data: Opaque::borrowed(data) },
    )
}

/// The status of the next reply, which has to be to this call.
fn status(client: &mut Client, record: &[u8]) -> u32 {
    let reply = client.receive().unwrap();
    let Answer::Done(result) = answer(record, &reply) else { panic!("it was not carried out") };
    u32::from_be_bytes(result[..4].try_into().unwrap())
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(1));
    }
}

#[test]
fn data_is_in_the_file_before_the_rest_was_sent() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, data) = (world.builder(), contents(MIB));
    let writes = || world.server.calls().iter().find(|(name, _)| *name == "WRITE").unwrap().1;
    let before = writes();
    let record = call(&mut client, &file, 5, &data);
    let whole = fragment(&record, true);
    client.stream.write_all(&whole[..MIB / 2]).unwrap();
    wait_for("the first half", || world.metadata("build/file").len() > (MIB / 4) as u64);
    client.stream.write_all(&whole[MIB / 2..]).unwrap();
    let reply = client.receive().unwrap();
    let Answer::Done(result) = answer(&record, &reply) else { panic!("it was not carried out") };
    let done: WRITE3resok = decode(&result[4..]);
    assert_eq!((done.count as usize, done.committed), (MIB, stable_how::FILE_SYNC));
    assert_eq!(fs::read(world.host("build/file")).unwrap()[5..], data);
    let told = client.getattr(&file).unwrap();
    assert_eq!(told.size, (MIB + 5) as u64);
    let wcc_data { after, .. } = done.file_wcc;
    assert_eq!(encode(&after)[4..], encode(&told), "what follows is what the reply told");
    assert_eq!(writes(), before + 1, "it is counted once");
}

#[test]
fn what_is_refused_is_refused_at_once_and_the_rest_is_no_call() {
    let world = World::new();
    let foreign = nfs_fh3 { data: Opaque::owned(vec![7; 32]) };
    for (file, expected) in [
        (world.at("package/hello"), nfsstat3::NFS3ERR_ROFS),
        (world.at("build"), nfsstat3::NFS3ERR_ISDIR),
        (foreign, nfsstat3::NFS3ERR_BADHANDLE),
    ] {
        let mut client = world.root();
        // Whoever took the data for calls would find one that ends the connection.
        let record = call(&mut client, &file, 0, &vec![0xff; MIB - 3]);
        let whole = fragment(&record, true);
        client.stream.write_all(&whole[..BEGINNING]).unwrap();
        assert_eq!(status(&mut client, &record), expected as u32, "{expected}");
        client.stream.write_all(&whole[BEGINNING..]).unwrap();
        client.null();
    }
    assert_eq!(fs::read(world.host("package/hello")).unwrap(), b"hello\n");
}

#[test]
fn a_count_that_is_not_the_datas_length_writes_nothing() {
    let world = World::new();
    let file = world.builders_file("build/file", b"abc", 0o644);
    let (mut client, data) = (world.builder(), contents(MIB));
    for count in [0, MIB as u32 - 1, u32::MAX] {
        let stable = stable_how::UNSTABLE;
        let arguments =
            WRITE3args { file: file.clone(), offset: 0, count, stable, data: Opaque::borrowed(&data) };
        let record = client.next_call(PROGRAM, VERSION, 7, &arguments);
        client.send(&record).unwrap();
        assert_eq!(status(&mut client, &record), nfsstat3::NFS3ERR_INVAL as u32, "count {count}");
    }
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"abc");
}

#[test]
fn a_peer_that_goes_away_in_the_middle_leaves_a_beginning_and_nothing_else() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let (mut client, data) = (world.builder(), contents(MIB));
    let record = call(&mut client, &file, 0, &data);
    client.stream.write_all(&fragment(&record, true)[..MIB / 2]).unwrap();
    client.stream.shutdown(Shutdown::Write).unwrap();
    assert!(client.is_ended(), "there is no reply to half a call");
    let written = fs::read(world.host("build/file")).unwrap();
    assert!(written.len() < MIB / 2 && data.starts_with(&written), "{} bytes", written.len());
    world.builder().null();
}

#[test]
fn another_procedures_large_record_is_received_first() {
    let world = World::new();
    let mut client = world.root();
    // Arguments of GETATTR, and noise behind them that nobody asks for.
    let mut record = client.next_call(PROGRAM, VERSION, 1, &world.at("build"));
    record.resize(MIB, 0xff);
    client.stream.write_all(&fragment(&record, true)[..BEGINNING]).unwrap();
    let calls = |world: &World| world.server.calls().iter().map(|(_, count)| count).sum::<u64>();
    let before = calls(&world);
    client.stream.write_all(&fragment(&record, true)[BEGINNING..]).unwrap();
    assert_eq!(status(&mut client, &record), 0);
    assert_eq!(calls(&world), before + 1, "it is counted once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn many_lie_where_they_belong_however_they_are_cut(
        sizes in prop::collection::vec(1_usize..300_000, 1..6),
        piece in 1_000_usize..200_000,
    ) {
        let world = World::new();
        let file = world.builders_file("build/file", b"", 0o644);
        let (mut client, mut expected, mut stream) = (world.builder(), Vec::new(), Vec::new());
        let mut records = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let data: Vec<u8> = contents(*size).iter().map(|byte| byte.wrapping_add(index as u8)).collect();
            let record = call(&mut client, &file, expected.len() as u64, &data);
            stream.extend(fragment(&record, true));
            expected.extend(data);
            records.push(record);
        }
        for piece in stream.chunks(piece) {
            client.stream.write_all(piece).unwrap();
        }
        for record in &records {
            prop_assert_eq!(status(&mut client, record), 0);
        }
        prop_assert!(fs::read(world.host("build/file")).unwrap() == expected, "the contents differ");
    }
}
