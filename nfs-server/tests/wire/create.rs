//! CREATE.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nfs3_types::nfs3::{Nfs3Option, createhow3, createverf3, nfsstat3, sattr3};

use crate::calls::{mode, owner, size};
use crate::client::refused;
use crate::world::{BUILDER, World, assert_changed, assert_is, guarded, made, unchecked};

fn exclusive(verifier: u8) -> createhow3 {
    createhow3::EXCLUSIVE(createverf3([verifier; 8]))
}

#[test]
fn a_new_file_belongs_to_the_caller_with_exactly_the_mode_asked_for() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let before = client.getattr(&build).unwrap();
    let done = client.create(&build, b"file", guarded(0o1767)).unwrap();
    let host = world.metadata("build/file");
    assert_eq!((host.mode() & 0o7777, host.uid(), host.gid()), (0o1767, BUILDER, BUILDER));
    assert_changed(&done.dir_wcc, &before, &world.metadata("build"));
    let Nfs3Option::Some(attributes) = &done.obj_attributes else { panic!("no attributes") };
    assert_is(attributes, &host);
    assert_eq!(made(done), world.at("build/file"));
}

#[test]
fn unchecked_takes_the_file_that_is_there_and_sets_its_length() {
    let world = World::new();
    let file = world.builders_file("build/file", b"0123", 0o640);
    let (mut client, build) = (world.builder(), world.at("build"));
    let done = client.create(&build, b"file", unchecked(mode(0o777))).unwrap();
    assert_eq!(made(done), file);
    assert_eq!(world.metadata("build/file").mode() & 0o777, 0o640, "its mode stays");
    client.create(&build, b"file", unchecked(size(0))).unwrap();
    assert_eq!(world.metadata("build/file").size(), 0);
    client.create(&build, b"new", unchecked(sattr3 { size: Nfs3Option::Some(9), ..mode(0o600) })).unwrap();
    assert_eq!(world.metadata("build/new").size(), 9);
}

#[test]
fn guarded_fails_where_something_is() {
    let world = World::new();
    world.builders_file("build/file", b"0123", 0o666);
    let (mut client, build) = (world.builder(), world.at("build"));
    let before = client.getattr(&build).unwrap();
    let (status, body) = client.create(&build, b"file", guarded(0o600)).unwrap_err();
    assert_eq!(status, nfsstat3::NFS3ERR_EXIST);
    assert_changed(&body.dir_wcc, &before, &world.metadata("build"));
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"0123");
}

#[test]
fn exclusive_succeeds_again_only_with_the_same_verifier() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    let first = made(client.create(&build, b"file", exclusive(1)).unwrap());
    assert_eq!(world.metadata("build/file").mode() & 0o7777, 0o600);
    assert_eq!(made(client.create(&build, b"file", exclusive(1)).unwrap()), first);
    assert_eq!(refused(client.create(&build, b"file", exclusive(2))), nfsstat3::NFS3ERR_EXIST);
    client.create(&build, b"other", guarded(0o600)).unwrap();
    assert_eq!(refused(client.create(&build, b"other", exclusive(0))), nfsstat3::NFS3ERR_EXIST);
}

#[test]
fn set_id_modes_are_refused_for_everybody() {
    let world = World::new();
    let build = world.at("build");
    for bits in [0o4755, 0o2755] {
        assert_eq!(refused(world.root().create(&build, b"f", guarded(bits))), nfsstat3::NFS3ERR_PERM);
        assert_eq!(refused(world.builder().create(&build, b"f", guarded(bits))), nfsstat3::NFS3ERR_PERM);
    }
    assert!(!world.host("build/f").exists());
}

#[test]
fn nothing_is_made_outside_writable_places_by_root_either() {
    let world = World::new();
    for path in ["", "bin", "etc", "empty", "package", "package/deep", "store/package", "file", "dev/null"] {
        for how in [guarded(0o600), unchecked(mode(0o600)), exclusive(1)] {
            let done = world.root().create(&world.at(path), b"new", how);
            assert_eq!(refused(done), nfsstat3::NFS3ERR_ROFS, "{path}");
        }
    }
    assert!(!world.host("package/new").exists());
}

#[test]
fn a_name_that_is_taken_is_taken_where_nothing_can_be_made_too() {
    let world = World::new();
    for (path, name) in [("dev", "null"), ("", "etc"), ("", "package")] {
        for how in [guarded(0o600), unchecked(mode(0o600)), exclusive(1)] {
            let done = world.builder().create(&world.at(path), name.as_bytes(), how);
            assert_eq!(refused(done), nfsstat3::NFS3ERR_EXIST, "{path}/{name}");
        }
    }
}

#[test]
fn a_name_that_is_taken_in_a_read_only_place_is_told_to_be_taken() {
    let world = World::new();
    for (directory, name) in
        [("dev", "null"), ("package", "hello"), ("etc", "passwd"), ("", "file"), ("", "build")]
    {
        for how in [guarded(0o600), unchecked(size(0))] {
            let done = world.root().create(&world.at(directory), name.as_bytes(), how);
            assert_eq!(refused(done), nfsstat3::NFS3ERR_EXIST, "{directory}/{name}");
        }
    }
    assert_eq!(fs::read(world.host("package/hello")).unwrap(), b"hello\n");
}

#[test]
fn the_name_of_an_entry_is_taken() {
    let world = World::new();
    let store = world.at("store");
    for how in [guarded(0o600), unchecked(mode(0o600)), exclusive(1)] {
        let done = world.root().create(&store, b"package", how);
        assert_eq!(refused(done), nfsstat3::NFS3ERR_EXIST);
    }
}

#[test]
fn what_is_no_regular_file_is_not_opened_or_followed() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.symlink(&build, b"link", b"target").unwrap();
    client.mkdir(&build, b"dir", mode(0o777)).unwrap();
    for name in [&b"link"[..], b"dir"] {
        let done = client.create(&build, name, unchecked(size(0)));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_EXIST);
    }
    assert!(!world.host("build/target").exists());
}

#[test]
fn the_directorys_mode_decides_who_makes_files() {
    let world = World::new();
    let (mut client, store) = (world.builder(), world.at("store"));
    assert_eq!(refused(client.create(&store, b"new", guarded(0o600))), nfsstat3::NFS3ERR_ACCES);
    client.become_user(BUILDER, BUILDER, &[0]);
    client.create(&store, b"new", guarded(0o600)).unwrap();
}

#[test]
fn who_may_not_make_a_file_may_open_the_one_that_is_there() {
    let world = World::new();
    let file = world.builders_file("store/file", b"0123", 0o644);
    let (mut client, store) = (world.builder(), world.at("store"));
    assert_eq!(made(client.create(&store, b"file", unchecked(size(1))).unwrap()), file);
    assert_eq!(world.metadata("store/file").size(), 1);
    client.become_user(2000, 2000, &[]);
    assert_eq!(refused(client.create(&store, b"file", unchecked(size(0)))), nfsstat3::NFS3ERR_ACCES);
}

#[test]
fn who_may_not_search_a_directory_does_not_find_a_file_by_making_it() {
    let world = World::new();
    let mut root = world.root();
    let closed = root.mkdir(&world.at("build"), b"closed", mode(0o700)).unwrap().obj.unwrap();
    root.create(&closed, b"file", guarded(0o666)).unwrap();
    let mut client = world.builder();
    for bits in [0o700, 0o704, 0o702, 0o706] {
        root.setattr(&closed, mode(bits)).unwrap();
        for how in [guarded(0o600), unchecked(mode(0o600)), unchecked(size(0)), exclusive(1)] {
            let status = refused(client.create(&closed, b"file", how));
            assert_eq!(status, nfsstat3::NFS3ERR_ACCES, "in a directory of mode {bits:o}");
        }
    }
    root.setattr(&closed, mode(0o701)).unwrap();
    client.create(&closed, b"file", unchecked(sattr3::default())).unwrap();
}

#[test]
fn a_file_that_cannot_have_its_length_is_not_made() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    // The directory's names are known from now on.
    client.readdir(&build, 0, 4096).unwrap();
    let too_large = || unchecked(sattr3 { size: Nfs3Option::Some(u64::MAX), ..mode(0o600) });
    assert_eq!(refused(client.create(&build, b"file", too_large())), nfsstat3::NFS3ERR_FBIG);
    assert!(!world.host("build/file").exists());
    assert_eq!(refused(client.lookup(&build, b"file")), nfsstat3::NFS3ERR_NOENT);
    client.create(&build, b"file", guarded(0o600)).unwrap();
}

#[test]
fn a_file_holds_no_names() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o777);
    let done = world.root().create(&file, b"new", guarded(0o600));
    assert_eq!(refused(done), nfsstat3::NFS3ERR_NOTDIR);
}

#[test]
fn owners_and_times_asked_for_are_given() {
    use nfs3_types::nfs3::{nfstime3, set_atime, set_mtime};
    let world = World::new();
    let moment = nfstime3 { seconds: 1_000_000_007, nseconds: 5 };
    let set = sattr3 {
        gid: Nfs3Option::Some(7),
        atime: set_atime::SET_TO_CLIENT_TIME(moment),
        mtime: set_mtime::SET_TO_CLIENT_TIME(moment),
        ..mode(0o640)
    };
    let mut client = world.builder();
    client.become_user(BUILDER, BUILDER, &[7]);
    let done = client.create(&world.at("build"), b"file", createhow3::GUARDED(set)).unwrap();
    let host = world.metadata("build/file");
    assert_is(&done.obj_attributes.unwrap(), &host);
    assert_eq!((host.gid(), host.mtime(), host.atime()), (7, 1_000_000_007, 1_000_000_007));
}

#[test]
fn root_alone_makes_things_for_others() {
    let world = World::new();
    let build = world.at("build");
    let set = || sattr3 { mode: Nfs3Option::Some(0o640), ..owner(Some(7), Some(8)) };
    for (mut client, prefix, given) in
        [(world.root(), "roots", (7, 8)), (world.builder(), "builders", (BUILDER, BUILDER))]
    {
        let name = |kind: &str| format!("{prefix}-{kind}");
        client.create(&build, name("file").as_bytes(), createhow3::GUARDED(set())).unwrap();
        client.mkdir(&build, name("directory").as_bytes(), set()).unwrap();
        for kind in ["file", "directory"] {
            let host = world.metadata(&format!("build/{}", name(kind)));
            assert_eq!((host.uid(), host.gid()), given, "{}", name(kind));
        }
    }
}
