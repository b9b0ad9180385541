//! ACCESS.

use nfs3_types::nfs3::{
    ACCESS3_DELETE as DELETE, ACCESS3_EXECUTE as EXECUTE, ACCESS3_EXTEND as EXTEND, ACCESS3_LOOKUP as LOOKUP,
    ACCESS3_MODIFY as MODIFY, ACCESS3_READ as READ, nfsstat3,
};

use crate::client::{Client, handle, refused};
use crate::world::{World, assert_is};

const ALL: u32 = 0x3f;

fn granted(client: &mut Client, world: &World, path: &str) -> u32 {
    client.access(&world.at(path), ALL).unwrap().access
}

#[test]
fn it_tells_what_the_mode_lets_each_user_do() {
    let world = World::new();
    world.builders_file("build/own", b"", 0o640);
    let (mut root, mut builder) = (world.root(), world.builder());
    assert_eq!(granted(&mut builder, &world, "build/own"), READ | MODIFY | EXTEND);
    assert_eq!(granted(&mut root, &world, "build/own"), READ | MODIFY | EXTEND);
    let mut other = world.root();
    other.become_user(2000, 2000, &[1000]);
    assert_eq!(granted(&mut other, &world, "build/own"), READ);
    other.become_user(2000, 2000, &[]);
    assert_eq!(granted(&mut other, &world, "build/own"), 0);
    assert_eq!(granted(&mut builder, &world, "package/run"), READ | EXECUTE);
    assert_eq!(granted(&mut builder, &world, "package/only-run"), EXECUTE);
    assert_eq!(granted(&mut builder, &world, "package/private"), 0);
}

#[test]
fn the_data_of_a_read_only_file_is_not_writable_for_root_either() {
    let world = World::new();
    for path in ["package/hello", "file", "etc/passwd"] {
        assert_eq!(granted(&mut world.root(), &world, path), READ, "{path}");
    }
}

#[test]
fn names_in_directories_are_granted_by_mode() {
    let world = World::new();
    let all = READ | LOOKUP | MODIFY | EXTEND | DELETE;
    assert_eq!(granted(&mut world.builder(), &world, "build"), all);
    assert_eq!(granted(&mut world.builder(), &world, "store"), READ | LOOKUP);
    assert_eq!(granted(&mut world.builder(), &world, "empty"), READ | LOOKUP);
    assert_eq!(granted(&mut world.root(), &world, "store"), all);
}

#[test]
fn root_does_not_run_what_nobody_may_run() {
    let world = World::new();
    assert_eq!(granted(&mut world.root(), &world, "package/hello") & EXECUTE, 0);
    assert_eq!(granted(&mut world.root(), &world, "package/run") & EXECUTE, EXECUTE);
}

#[test]
fn a_device_may_be_written_since_that_changes_nothing_in_the_view() {
    let world = World::new();
    assert_eq!(granted(&mut world.builder(), &world, "dev/null"), READ | MODIFY | EXTEND);
}

#[test]
fn only_what_was_asked_is_granted_and_the_attributes_come_along() {
    let world = World::new();
    let done = world.root().access(&world.at("package/run"), EXECUTE).unwrap();
    assert_eq!(done.access, EXECUTE);
    assert_is(&done.obj_attributes.unwrap(), &world.metadata("package/run"));
    assert_eq!(refused(world.root().access(&handle(b"other"), ALL)), nfsstat3::NFS3ERR_BADHANDLE);
}

#[test]
fn what_is_removed_meanwhile_is_stale() {
    World::new().assert_stale_once_removed(|client, link| client.access(link, ALL));
}
