//! NULL.

use crate::client::{Answer, Client, call};
use crate::world::World;

use nfs3_types::nfs3;
use nfs3_types::rpc::opaque_auth;
use nfs3_types::xdr_codec::Void;

#[test]
fn it_answers_with_nothing() {
    World::new().root().null();
}

#[test]
fn it_answers_whoever_does_not_say_who_calls() {
    let world = World::new();
    let mut client = Client::connect(world.server.addr());
    let record = call(3, (nfs3::PROGRAM, nfs3::VERSION, 0), opaque_auth::default(), &Void);
    let Answer::Done(result) = client.ask(&record) else { panic!("NULL was refused") };
    assert_eq!(result, [0; 0]);
}

#[test]
fn calls_are_counted_by_name() {
    let world = World::new();
    let mut client = world.root();
    client.null();
    client.null();
    client.getattr(&world.mount()).unwrap();
    let calls = world.server.calls();
    let made: Vec<_> = calls.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(made, [("NULL", 2), ("GETATTR", 1)]);
    assert_eq!((calls.total(), calls.refused()), (3, 0));
}
