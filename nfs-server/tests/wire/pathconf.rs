//! PATHCONF.

use nfs3_types::nfs3::nfsstat3;

use crate::client::{handle, refused};
use crate::world::{World, assert_is};

#[test]
fn it_tells_what_names_may_be_like() {
    let world = World::new();
    let done = world.root().pathconf(&world.at("build")).unwrap();
    assert_eq!((done.name_max, done.linkmax), (255, 65_000));
    assert!(done.no_trunc && done.chown_restricted && !done.case_insensitive && done.case_preserving);
    assert_is(&done.obj_attributes.unwrap(), &world.metadata("build"));
}

#[test]
fn it_answers_for_every_kind_of_node() {
    let world = World::new();
    let mut client = world.root();
    for path in ["", "etc/passwd", "bin/sh", "dev/null", "empty", "package", "package/hello", "writable/note"]
    {
        let done = client.pathconf(&world.at(path)).unwrap();
        assert_eq!((done.name_max, done.linkmax), (255, 65_000), "{path}");
        let fileid = client.getattr(&world.at(path)).unwrap().fileid;
        assert_eq!(done.obj_attributes.unwrap().fileid, fileid, "{path}");
    }
}

#[test]
fn a_foreign_handle_is_bad() {
    assert_eq!(refused(World::new().root().pathconf(&handle(&[0; 8]))), nfsstat3::NFS3ERR_BADHANDLE);
}
