//! LOOKUP.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nfs3_types::nfs3::nfsstat3;

use crate::client::refused;
use crate::world::{World, assert_is};

#[test]
fn what_unicode_takes_for_the_same_name_is_asked_of_a_host_that_does_too() {
    let abilities = nfs_server::view::HostCapabilities { normalizes_names: true, ..Default::default() };
    let world = World::on(abilities);
    let (mut client, build) = (world.builder(), world.at("build"));
    for name in ["a", "b", "c", "d", "e"] {
        assert_eq!(refused(client.lookup(&build, name.as_bytes())), nfsstat3::NFS3ERR_NOENT);
    }
    // The host finds them by bytes that the listing does not hold.
    for name in ["\u{e9}t\u{e9}", "plain"] {
        std::fs::write(world.host("build").join(name), "").unwrap();
    }
    client.lookup(&build, "\u{e9}t\u{e9}".as_bytes()).unwrap();
    assert_eq!(refused(client.lookup(&build, b"plain")), nfsstat3::NFS3ERR_NOENT, "ASCII has one form");
}

#[test]
fn a_name_leads_to_a_handle_with_its_attributes() {
    let world = World::new();
    let found = world.root().lookup(&world.at("package"), b"hello").unwrap();
    assert_is(&found.obj_attributes.unwrap(), &world.metadata("package/hello"));
    assert_eq!(found.object, world.at("package/hello"));
}

#[test]
fn what_no_entry_names_does_not_exist() {
    let world = World::new();
    let mut client = world.root();
    for (directory, name) in
        [("", "usr"), ("", "proc"), ("etc", "group"), ("empty", "x"), ("package", "x"), ("build", "x")]
    {
        let found = client.lookup(&world.at(directory), name.as_bytes());
        assert_eq!(refused(found), nfsstat3::NFS3ERR_NOENT, "{directory}/{name}");
    }
}

#[test]
fn an_entry_hides_what_the_host_has_of_its_name() {
    let world = World::new();
    let mut client = world.root();
    let package = world.at("store/package");
    client.lookup(&package, b"hello").unwrap();
    assert_eq!(refused(client.lookup(&package, b"hidden")), nfsstat3::NFS3ERR_NOENT);
}

#[test]
fn nothing_is_above_the_root() {
    let world = World::new();
    let (mut client, root) = (world.root(), world.mount());
    assert_eq!(client.lookup(&root, b"..").unwrap().object, root);
    assert_eq!(client.lookup(&root, b".").unwrap().object, root);
}

#[test]
fn the_parent_of_a_directory_is_where_the_view_has_it() {
    let world = World::new();
    let mut client = world.root();
    for (directory, parent) in [
        ("package/deep", "package"),
        ("package", ""),
        ("store/package", "store"),
        ("store/package/deep", "store/package"),
        ("build", ""),
        ("etc", ""),
    ] {
        assert_eq!(client.lookup(&world.at(directory), b"..").unwrap().object, world.at(parent));
    }
}

#[test]
fn a_directory_seen_through_two_grafts_of_one_source_has_two_handles() {
    let world = World::new();
    let mut client = world.root();
    assert_ne!(world.at("package"), world.at("store/package"));
    let (one, two) = (world.at("package/deep"), world.at("store/package/deep"));
    assert_ne!(one, two);
    let (one, two) = (client.getattr(&one).unwrap(), client.getattr(&two).unwrap());
    assert_eq!(one.fileid, two.fileid);
}

#[test]
fn hard_links_share_a_handle_and_a_file_id() {
    let world = World::new();
    fs::hard_link(world.host("package/hello"), world.host("package/deep/again")).unwrap();
    let (one, two) = (world.at("package/hello"), world.at("package/deep/again"));
    assert_eq!(one, two);
    let attributes = world.root().getattr(&one).unwrap();
    assert_is(&attributes, &world.metadata("package/deep/again"));
    assert_eq!(attributes.nlink, 2);
}

#[test]
fn a_file_holds_no_names() {
    let world = World::new();
    for path in ["package/hello", "file", "etc/passwd", "dev/null", "package/link"] {
        let found = world.root().lookup(&world.at(path), b"x");
        assert_eq!(refused(found), nfsstat3::NFS3ERR_NOTDIR, "{path}");
    }
}

#[test]
fn whoever_may_not_search_a_directory_finds_nothing_in_it() {
    let world = World::new();
    fs::set_permissions(world.host("package/deep"), fs::Permissions::from_mode(0o744)).unwrap();
    let deep = world.at("package/deep");
    assert_eq!(refused(world.builder().lookup(&deep, b"down")), nfsstat3::NFS3ERR_ACCES);
    world.root().lookup(&deep, b"down").unwrap();
}

#[test]
fn a_directory_that_is_gone_is_stale() {
    let world = World::new();
    let mut client = world.root();
    client.mkdir(&world.at("build"), b"dir", Default::default()).unwrap();
    let gone = world.at("build/dir");
    client.rmdir(&world.at("build"), b"dir").unwrap();
    assert_eq!(refused(client.lookup(&gone, b"x")), nfsstat3::NFS3ERR_STALE);
}
