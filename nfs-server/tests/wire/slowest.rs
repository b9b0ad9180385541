//! Which calls took longest, as the server says afterwards.

use std::path::Path;

use nfs3_types::nfs3::nfsstat3;

use crate::calls::mode;
use crate::client::refused;
use crate::world::World;

/// The procedures and paths of the slowest calls, in order of their names.
fn slowest(world: &World) -> Vec<(String, String)> {
    let calls = world.server.slowest_calls();
    assert!(calls.is_sorted_by(|one, other| one.seconds >= other.seconds), "{calls:?}");
    assert!(calls.iter().all(|call| call.seconds > 0.0 && call.seconds < 60.0), "{calls:?}");
    let mut found: Vec<_> =
        calls.into_iter().map(|call| (call.procedure, call.path.display().to_string())).collect();
    found.sort_unstable();
    found
}

#[test]
fn calls_are_named_with_what_they_are_about() {
    let world = World::new();
    let (mut client, root) = (world.builder(), world.mount());
    let build = client.lookup(&root, b"build").unwrap().object;
    client.mkdir(&build, b"made", mode(0o755)).unwrap();
    assert_eq!(refused(client.remove(&build, b"none")), nfsstat3::NFS3ERR_NOENT);
    client.getattr(&build).unwrap();
    let expected =
        [("GETATTR", "/build"), ("LOOKUP", "/build"), ("MKDIR", "/build/made"), ("REMOVE", "/build/none")];
    let expected = expected.map(|(procedure, path)| (procedure.to_owned(), path.to_owned()));
    assert_eq!(slowest(&world), expected);
}

#[test]
fn no_more_are_named_than_a_person_reads() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    for _ in 0..100 {
        client.getattr(&build).unwrap();
    }
    assert_eq!(slowest(&world).len(), 10);
}

#[test]
fn what_is_gone_is_named_by_nobody() {
    let world = World::new();
    let (mut client, file) = (world.root(), world.builders_file("build/file", b"", 0o644));
    client.remove(&world.at("build"), b"file").unwrap();
    assert_eq!(refused(client.getattr(&file)), nfsstat3::NFS3ERR_STALE);
    let found = slowest(&world);
    assert!(!found.iter().any(|(procedure, _)| procedure == "GETATTR"), "{found:?}");
    assert!(found.iter().all(|(_, path)| Path::new(path).is_absolute()), "{found:?}");
}
