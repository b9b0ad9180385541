//! FSSTAT.

use nix::sys::statvfs::statvfs;

use nfs3_types::nfs3::nfsstat3;

use crate::client::{handle, refused};
use crate::world::{World, assert_is};

#[test]
#[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
fn it_tells_the_size_of_the_hosts_file_system_in_bytes() {
    let world = World::new();
    let host = statvfs(&world.host("build")).unwrap();
    for path in ["", "etc", "build", "package/hello"] {
        let done = world.root().fsstat(&world.at(path)).unwrap();
        assert_eq!(done.tbytes, host.blocks() as u64 * host.fragment_size() as u64, "{path}");
        assert_eq!(done.tfiles, host.files() as u64);
        assert!(done.abytes <= done.fbytes && done.fbytes <= done.tbytes);
        assert!(done.afiles <= done.ffiles && done.ffiles <= done.tfiles);
        assert_eq!(done.invarsec, 0);
    }
}

#[test]
fn the_attributes_come_along() {
    let world = World::new();
    let done = world.root().fsstat(&world.at("build")).unwrap();
    assert_is(&done.obj_attributes.unwrap(), &world.metadata("build"));
}

#[test]
fn a_foreign_handle_is_bad() {
    assert_eq!(refused(World::new().root().fsstat(&handle(&[1; 32]))), nfsstat3::NFS3ERR_BADHANDLE);
}
