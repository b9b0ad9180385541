//! Programs, versions and procedures that the server does not have: each is told apart.

use nfs3_types::rpc::{accept_stat_data, rejected_reply};
use nfs3_types::xdr_codec::Void;

use crate::client::Answer;
use crate::world::World;

fn ask(world: &World, program: u32, version: u32, procedure: u32) -> Answer {
    let mut client = world.root();
    let record = client.next_call(program, version, procedure, &Void);
    client.ask(&record)
}

#[test]
fn other_programs_are_not_available() {
    let world = World::new();
    // The port mapper, the lock manager, the status monitor, the protocol of access control lists, and none.
    for program in [100_000, 100_021, 100_024, 100_227, 0, u32::MAX] {
        let answer = ask(&world, program, 3, 0);
        assert!(matches!(answer, Answer::Accepted(accept_stat_data::PROG_UNAVAIL)), "{program}: {answer:?}");
    }
}

#[test]
fn other_versions_of_nfs_are_told_the_one_there_is() {
    let world = World::new();
    for version in [0, 2, 4, u32::MAX] {
        let answer = ask(&world, 100_003, version, 0);
        let mismatch = accept_stat_data::PROG_MISMATCH { low: 3, high: 3 };
        assert_eq!(format!("{answer:?}"), format!("{:?}", Answer::Accepted(mismatch)));
    }
}

#[test]
fn other_procedures_are_not_available() {
    let world = World::new();
    for procedure in [22, 23, 1000, u32::MAX] {
        let answer = ask(&world, 100_003, 3, procedure);
        assert!(
            matches!(answer, Answer::Accepted(accept_stat_data::PROC_UNAVAIL)),
            "{procedure}: {answer:?}"
        );
    }
}

#[test]
fn other_versions_of_rpc_are_told_the_one_there_is() {
    let world = World::new();
    let mut client = world.root();
    for version in [0, 1, 3, u32::MAX] {
        let mut record = client.next_call(100_003, 3, 0, &Void);
        record[8..12].copy_from_slice(&version.to_be_bytes());
        let answer = client.ask(&record);
        let Answer::Denied(rejected_reply::RPC_MISMATCH { low: 2, high: 2 }) = answer else {
            panic!("version {version}: {answer:?}")
        };
    }
}

#[test]
fn what_is_not_known_is_counted_as_refused_and_the_connection_goes_on() {
    let world = World::new();
    let mut client = world.root();
    let record = client.next_call(100_000, 2, 3, &Void);
    for _ in 0..10 {
        client.ask(&record);
    }
    client.null();
    assert_eq!(world.server.calls().refused(), 10);
    assert_eq!(world.server.calls().total(), 1);
}
