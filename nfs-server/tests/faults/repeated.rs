//! Calls that come again: a client that lost its connection sends what it had in flight once more.

use std::fs;

use nfs3_types::nfs3::{CREATE3args, PROGRAM, REMOVE3args, RENAME3args, VERSION, createhow3, createverf3};
use nfs3_types::xdr_codec::Pack;

use crate::calls::at;
use crate::client::{Answer, Client, answer, refused};
use crate::samples::samples;
use crate::world::{World, guarded};

/// Sends a call twice over one connection and once over another, and gives the first reply. All have to be the same.
fn thrice(world: &World, procedure: u32, arguments: &impl Pack) -> Vec<u8> {
    let mut client = world.builder();
    let record = client.next_call(PROGRAM, VERSION, procedure, arguments);
    let ask = |client: &mut Client| {
        client.send(&record).unwrap();
        client.receive().unwrap()
    };
    let first = ask(&mut client);
    assert_eq!(ask(&mut client), first, "over the same connection");
    drop(client);
    assert_eq!(ask(&mut world.builder()), first, "over another connection");
    let Answer::Done(result) = answer(&record, &first) else { panic!("it was not carried out") };
    result
}

#[test]
fn a_repeated_remove_gets_the_first_reply_and_spares_a_new_file_of_the_name() {
    let world = World::new();
    let build = world.at("build");
    world.builders_file("build/file", b"old", 0o644);
    let mut client = world.builder();
    let record = client.next_call(PROGRAM, VERSION, 12, &REMOVE3args { object: at(&build, b"file") });
    client.send(&record).unwrap();
    let first = client.receive().unwrap();
    client.create(&build, b"file", guarded(0o600)).unwrap();
    client.send(&record).unwrap();
    assert_eq!(client.receive().unwrap(), first);
    assert!(world.host("build/file").exists());
}

#[test]
fn a_repeated_guarded_create_succeeds_like_the_first() {
    let world = World::new();
    let build = world.at("build");
    let arguments = CREATE3args { where_: at(&build, b"file"), how: guarded(0o600) };
    assert_eq!(thrice(&world, 8, &arguments)[..4], [0; 4]);
    assert_eq!(refused(world.builder().create(&build, b"file", guarded(0o600))) as u32, 17);
}

#[test]
fn a_repeated_exclusive_create_succeeds_like_the_first() {
    let world = World::new();
    let how = createhow3::EXCLUSIVE(createverf3([3; 8]));
    let arguments = CREATE3args { where_: at(&world.at("build"), b"file"), how };
    assert_eq!(thrice(&world, 8, &arguments)[..4], [0; 4]);
}

#[test]
fn a_repeated_rename_does_not_move_what_came_after() {
    let world = World::new();
    let build = world.at("build");
    world.builders_file("build/from", b"first", 0o644);
    let arguments = RENAME3args { from: at(&build, b"from"), to: at(&build, b"to") };
    let mut client = world.builder();
    let record = client.next_call(PROGRAM, VERSION, 14, &arguments);
    client.send(&record).unwrap();
    let first = client.receive().unwrap();
    world.builders_file("build/from", b"second", 0o644);
    let mut again = world.builder();
    again.send(&record).unwrap();
    assert_eq!(again.receive().unwrap(), first);
    assert_eq!(fs::read(world.host("build/to")).unwrap(), b"first");
}

#[test]
fn a_failure_is_repeated_too() {
    let world = World::new();
    let arguments = REMOVE3args { object: at(&world.at("build"), b"none") };
    assert_eq!(thrice(&world, 12, &arguments)[..4], 2_u32.to_be_bytes());
}

#[test]
fn every_call_that_changes_something_is_carried_out_once() {
    let world = World::new();
    for sample in samples(&world) {
        // Writing the same again changes nothing, and neither does asking.
        if sample.program == PROGRAM && [2, 8, 9, 10, 11, 12, 13, 14, 15].contains(&sample.procedure) {
            let result = thrice(&world, sample.procedure, &Raw(&sample.arguments));
            assert_eq!(result[..4], [0; 4], "procedure {}", sample.procedure);
        }
    }
}

#[test]
fn the_same_number_with_other_arguments_or_another_caller_is_another_call() {
    let world = World::new();
    let build = world.at("build");
    let mut client = world.builder();
    let make = |client: &mut Client, name: &[u8], xid: u32| {
        client.xid = xid;
        let how = guarded(0o600);
        let record = client.next_call(PROGRAM, VERSION, 8, &CREATE3args { where_: at(&build, name), how });
        match client.ask(&record) {
            Answer::Done(result) => u32::from_be_bytes(result[..4].try_into().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(make(&mut client, b"one", 5), 0);
    assert_eq!(make(&mut client, b"two", 5), 0);
    client.become_user(2000, 2000, &[]);
    assert_eq!(make(&mut client, b"two", 5), 17, "EXIST: not the reply to another user");
}

#[test]
fn a_call_repeated_while_the_first_is_running_is_carried_out_once() {
    let world = World::new();
    let build = world.at("build");
    for round in 0..50 {
        let name = format!("file{round}");
        let arguments = CREATE3args { where_: at(&build, name.as_bytes()), how: guarded(0o600) };
        let mut clients = [world.builder(), world.builder(), world.builder()];
        let record = clients[0].next_call(PROGRAM, VERSION, 8, &arguments);
        for client in &mut clients {
            client.send(&record).unwrap();
        }
        let replies = clients.map(|mut client| client.receive().unwrap());
        assert!(replies.iter().all(|reply| *reply == replies[0]));
        let Answer::Done(result) = answer(&record, &replies[0]) else { panic!("not carried out") };
        assert_eq!(result[..4], [0; 4]);
    }
}

/// Arguments that are encoded already.
struct Raw<'a>(&'a [u8]);

impl Pack for Raw<'_> {
    fn packed_size(&self) -> usize {
        self.0.len()
    }

    fn pack(&self, out: &mut impl std::io::Write) -> nfs3_types::xdr_codec::Result<usize> {
        out.write_all(self.0)?;
        Ok(self.0.len())
    }
}
