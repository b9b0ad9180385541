//! FSINFO.

use nfs3_types::nfs3::{FSF3_CANSETTIME, FSF3_HOMOGENEOUS, FSF3_LINK, FSF3_SYMLINK, nfsstat3, nfstime3};

use crate::client::{handle, refused};
use crate::world::{World, assert_is};

const MIB: u32 = 1 << 20;

#[test]
fn it_tells_the_limits_that_the_other_procedures_keep() {
    let world = World::new();
    let done = world.root().fsinfo(&world.mount()).unwrap();
    assert_eq!((done.rtmax, done.rtpref, done.wtmax, done.wtpref, done.dtpref), (MIB, MIB, MIB, MIB, MIB));
    assert_eq!((done.rtmult, done.wtmult), (4096, 4096));
    assert_eq!(done.time_delta, nfstime3 { seconds: 0, nseconds: 1 });
    assert_eq!(done.properties, FSF3_LINK | FSF3_SYMLINK | FSF3_HOMOGENEOUS | FSF3_CANSETTIME);
}

#[test]
#[cfg(target_os = "linux")]
fn the_largest_file_is_the_largest_that_the_hosts_file_system_takes() {
    let world = World::new();
    let file = std::fs::File::create(world.host("build/file")).unwrap();
    for path in ["", "build", "writable"] {
        let largest = world.root().fsinfo(&world.at(path)).unwrap().maxfilesize;
        file.set_len(largest).unwrap_or_else(|error| panic!("{path}: {largest}: {error}"));
        if largest < i64::MAX as u64 {
            let refused = file.set_len(largest + 1).unwrap_err();
            assert_eq!(refused.raw_os_error(), Some(nix::libc::EFBIG), "{path}");
        }
    }
}

#[test]
fn the_attributes_come_along() {
    let world = World::new();
    let done = world.root().fsinfo(&world.at("build")).unwrap();
    assert_is(&done.obj_attributes.unwrap(), &world.metadata("build"));
}

#[test]
fn a_foreign_handle_is_bad() {
    assert_eq!(refused(World::new().root().fsinfo(&handle(b""))), nfsstat3::NFS3ERR_BADHANDLE);
}
