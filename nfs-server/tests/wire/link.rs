//! LINK.

use nfs3_types::nfs3::{Nfs3Option, nfsstat3};

use crate::calls::mode;
use crate::client::refused;
use crate::world::{World, assert_changed, assert_is};

#[test]
fn a_further_name_shares_the_handle_and_the_file_id() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let file = world.builders_file("build/one", b"", 0o644);
    let before = client.getattr(&build).unwrap();
    let done = client.link(&file, &build, b"two").unwrap();
    let Nfs3Option::Some(attributes) = &done.file_attributes else { panic!("no attributes") };
    assert_is(attributes, &world.metadata("build/one"));
    assert_eq!(attributes.nlink, 2);
    assert_changed(&done.linkdir_wcc, &before, &world.metadata("build"));
    assert_eq!(world.at("build/two"), file);
}

#[test]
fn a_file_is_found_by_its_first_name_when_hundreds_of_later_ones_go() {
    const NAMES: u32 = 300;
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let file = world.builders_file("build/one", b"contents", 0o644);
    for number in 0..NAMES {
        client.link(&file, &build, number.to_string().as_bytes()).unwrap();
    }
    for number in (0..NAMES).rev() {
        client.remove(&build, number.to_string().as_bytes()).unwrap();
    }
    assert_eq!(client.getattr(&file).unwrap().nlink, 1);
    assert_eq!(client.read(&file, 0, 100).unwrap().data.0.to_vec(), b"contents");
}

#[test]
fn a_link_to_a_link_is_to_the_link_itself() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.symlink(&build, b"link", b"/etc/passwd").unwrap();
    client.link(&world.at("build/link"), &build, b"again").unwrap();
    assert_eq!(client.readlink(&world.at("build/again")).unwrap().data.0.to_vec(), b"/etc/passwd");
}

#[test]
fn between_parts_of_the_view_programs_are_told_to_copy() {
    let world = World::new();
    let mut client = world.root();
    world.builders_file("build/file", b"", 0o666);
    for (file, directory) in [
        ("build/file", "store"),
        ("build/file", "writable"),
        ("package/hello", "build"),
        ("store/package/hello", "store"),
        ("file", "build"),
        ("etc/passwd", "build"),
        ("writable/note", "build"),
    ] {
        let done = client.link(&world.at(file), &world.at(directory), b"new");
        assert_eq!(refused(done), nfsstat3::NFS3ERR_XDEV, "{file} in {directory}");
    }
    assert_eq!(client.getattr(&world.at("package/hello")).unwrap().nlink, 1);
}

#[test]
fn nothing_is_linked_into_a_read_only_place() {
    let world = World::new();
    world.builders_file("build/file", b"", 0o666);
    for (file, directory) in
        [("package/hello", "package/deep"), ("build/file", "package"), ("build/file", "")]
    {
        let done = world.root().link(&world.at(file), &world.at(directory), b"new");
        assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{file} in {directory}");
    }
}

#[test]
fn names_that_are_taken_and_files_that_cannot_be_linked_are_refused() {
    let world = World::new();
    let (mut client, build) = (world.root(), world.at("build"));
    let file = world.builders_file("build/file", b"", 0o666);
    client.mkdir(&build, b"dir", mode(0o777)).unwrap();
    let before = client.getattr(&build).unwrap();
    let (status, body) = client.link(&file, &build, b"dir").unwrap_err();
    assert_eq!(status, nfsstat3::NFS3ERR_EXIST);
    assert_changed(&body.linkdir_wcc, &before, &world.metadata("build"));
    assert_is(&body.file_attributes.unwrap(), &world.metadata("build/file"));
    assert_eq!(refused(client.link(&world.at("build/dir"), &build, b"x")), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(client.link(&file, &file, b"x")), nfsstat3::NFS3ERR_NOTDIR);
    assert_eq!(refused(client.link(&world.at("store"), &world.at("store"), b"x")), nfsstat3::NFS3ERR_XDEV);
    client.remove(&build, b"file").unwrap();
    assert_eq!(refused(client.link(&file, &build, b"x")), nfsstat3::NFS3ERR_STALE);
}

#[test]
fn the_directorys_mode_decides() {
    let world = World::new();
    let file = world.builders_file("store/file", b"", 0o666);
    let done = world.builder().link(&file, &world.at("store"), b"new");
    assert_eq!(refused(done), nfsstat3::NFS3ERR_ACCES);
}
