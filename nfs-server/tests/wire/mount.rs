//! The MOUNT protocol, versions 3 and 1.

use nfs3_types::mount::{PROGRAM, mountres3, mountstat3};
use nfs3_types::rpc::{accept_stat_data, opaque_auth};
use nfs3_types::xdr_codec::{Opaque, Pack, Void};

use crate::client::{Answer, Client, call, decode};
use crate::world::World;

fn ask(world: &World, version: u32, procedure: u32, arguments: &impl Pack) -> Answer {
    let mut client = Client::connect(world.server.addr());
    client.ask(&call(9, (PROGRAM, version, procedure), opaque_auth::default(), arguments))
}

fn done(world: &World, version: u32, procedure: u32, arguments: &impl Pack) -> Vec<u8> {
    match ask(world, version, procedure, arguments) {
        Answer::Done(result) => result,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_exports_path_gives_the_root_and_says_how_to_call() {
    let world = World::new();
    let path = Opaque::borrowed(world.server.export().as_bytes());
    let mountres3::Ok(result) = decode(&done(&world, 3, 1, &path)) else { panic!("refused") };
    assert_eq!(result.auth_flavors, [1], "AUTH_SYS alone");
    assert_eq!(result.fhandle.0, world.mount().data);
    let root = world.root().getattr(&world.mount()).unwrap();
    assert_eq!(root.mode, 0o755);
}

#[test]
fn the_exports_path_cannot_be_guessed() {
    let (one, two) = (World::new(), World::new());
    assert_ne!(one.server.export(), two.server.export());
    assert_eq!(one.server.export().len(), 1 + 32);
}

#[test]
fn every_other_path_does_not_exist() {
    let world = World::new();
    let export = world.server.export();
    let longer = format!("{export}/");
    let upper = export.to_uppercase();
    for path in ["", "/", &export[1..], &export[..32], &longer, &upper, "/etc"] {
        if path == export {
            continue;
        }
        let result = decode(&done(&world, 3, 1, &Opaque::borrowed(path.as_bytes())));
        assert!(matches!(result, mountres3::Err(mountstat3::MNT3ERR_NOENT)), "{path:?}: {result:?}");
    }
}

#[test]
fn version_1_unmounts_and_mounts_nothing() {
    let world = World::new();
    let path = Opaque::borrowed(world.server.export().as_bytes());
    assert_eq!(done(&world, 1, 1, &path), 2_u32.to_be_bytes());
    assert_eq!(done(&world, 1, 3, &path), [0; 0]);
    assert_eq!(done(&world, 1, 4, &Void), [0; 0]);
}

#[test]
fn unmounting_answers_with_nothing_and_ends_nothing() {
    let world = World::new();
    let root = world.mount();
    let path = Opaque::borrowed(world.server.export().as_bytes());
    assert_eq!(done(&world, 3, 3, &path), [0; 0]);
    assert_eq!(done(&world, 3, 4, &Void), [0; 0]);
    assert_eq!(done(&world, 3, 0, &Void), [0; 0]);
    world.root().getattr(&root).unwrap();
}

#[test]
fn lists_are_empty_since_the_path_is_a_secret() {
    let world = World::new();
    for version in [1, 3] {
        assert_eq!(done(&world, version, 2, &Void), [0; 4]);
        assert_eq!(done(&world, version, 5, &Void), [0; 4]);
    }
}

#[test]
fn other_versions_and_procedures_are_told_apart() {
    let world = World::new();
    let Answer::Accepted(accept_stat_data::PROG_MISMATCH { low: 1, high: 3 }) = ask(&world, 2, 0, &Void)
    else {
        panic!("version 2 was answered")
    };
    assert!(matches!(ask(&world, 3, 6, &Void), Answer::Accepted(accept_stat_data::PROC_UNAVAIL)));
    let long = Opaque::owned(vec![b'/'; 1025]);
    assert!(matches!(ask(&world, 3, 1, &long), Answer::Accepted(accept_stat_data::GARBAGE_ARGS)));
}
