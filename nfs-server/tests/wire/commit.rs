//! COMMIT.

use nfs3_types::nfs3::nfsstat3;

use crate::client::refused;
use crate::world::{World, assert_changed};

#[test]
fn what_was_written_is_committed_and_the_state_of_the_file_is_told() {
    let world = World::new();
    world.builders_file("build/file", b"", 0o644);
    let mut client = world.root();
    for path in ["build/file", "writable/note"] {
        let file = world.at(path);
        client.write(&file, 0, b"data").unwrap();
        let before = client.getattr(&file).unwrap();
        let done = client.commit(&file).unwrap();
        assert_changed(&done.file_wcc, &before, &world.metadata(path));
    }
}

#[test]
fn read_only_files_have_nothing_to_commit() {
    let world = World::new();
    for path in ["package/hello", "file", "etc/passwd"] {
        assert_eq!(refused(world.root().commit(&world.at(path))), nfsstat3::NFS3ERR_ROFS, "{path}");
    }
}

#[test]
fn only_regular_files_are_committed() {
    let world = World::new();
    assert_eq!(refused(world.root().commit(&world.at("build"))), nfsstat3::NFS3ERR_ISDIR);
}

#[test]
fn a_file_that_is_gone_is_stale() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    world.root().remove(&world.at("build"), b"file").unwrap();
    assert_eq!(refused(world.root().commit(&file)), nfsstat3::NFS3ERR_STALE);
}
