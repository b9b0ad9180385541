//! SETATTR.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

use nfs3_types::nfs3::{Nfs3Option, nfsstat3, nfstime3, sattr3, set_atime, set_mtime};

use crate::calls::{mode, owner, size};
use crate::client::{Client, refused};
use crate::world::{BUILDER, World, assert_changed};

const MOMENT: nfstime3 = nfstime3 { seconds: 1_000_000_007, nseconds: 123_456_789 };

fn times(atime: set_atime, mtime: set_mtime) -> sattr3 {
    sattr3 { atime, mtime, ..sattr3::default() }
}

#[test]
fn every_attribute_can_be_set_at_once_and_the_change_is_told() {
    let world = World::new();
    let file = world.builders_file("build/file", b"0123456789", 0o644);
    let mut client = world.root();
    let before = client.getattr(&file).unwrap();
    let set = sattr3 {
        mode: Nfs3Option::Some(0o1751),
        uid: Nfs3Option::Some(1),
        gid: Nfs3Option::Some(2),
        size: Nfs3Option::Some(4),
        atime: set_atime::SET_TO_CLIENT_TIME(MOMENT),
        mtime: set_mtime::SET_TO_CLIENT_TIME(nfstime3 { nseconds: 1, ..MOMENT }),
    };
    let done = client.setattr(&file, set).unwrap();
    let host = world.metadata("build/file");
    assert_changed(&done.obj_wcc, &before, &host);
    assert_eq!((host.mode() & 0o7777, host.uid(), host.gid(), host.size()), (0o1751, 1, 2, 4));
    assert_eq!((host.atime(), host.atime_nsec()), (1_000_000_007, 123_456_789));
    assert_eq!((host.mtime(), host.mtime_nsec()), (1_000_000_007, 1));
    assert_eq!(fs::read(world.host("build/file")).unwrap(), b"0123");
}

#[test]
fn a_length_may_grow_beyond_4_gib_and_no_more_than_the_host_can() {
    let world = World::new();
    let file = world.builders_file("build/file", b"x", 0o644);
    let mut client = world.builder();
    client.setattr(&file, size(5 << 30)).unwrap();
    assert_eq!(world.metadata("build/file").size(), 5 << 30);
    assert_eq!(refused(client.setattr(&file, size(1 << 63))), nfsstat3::NFS3ERR_FBIG);
    assert_eq!(refused(client.setattr(&world.at("build"), size(0))), nfsstat3::NFS3ERR_ISDIR);
}

#[test]
fn the_servers_time_is_now() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let old = times(set_atime::SET_TO_CLIENT_TIME(MOMENT), set_mtime::SET_TO_CLIENT_TIME(MOMENT));
    let mut client = world.builder();
    client.setattr(&file, old).unwrap();
    client.setattr(&file, times(set_atime::DONT_CHANGE, set_mtime::SET_TO_SERVER_TIME)).unwrap();
    let host = world.metadata("build/file");
    assert_eq!(host.atime(), 1_000_000_007);
    assert!(host.modified().unwrap().elapsed().unwrap().as_secs() < 60);
}

#[test]
fn a_guard_that_does_not_hold_changes_nothing() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o644);
    let mut client = world.root();
    let ctime = client.getattr(&file).unwrap().ctime;
    let wrong = nfstime3 { nseconds: (ctime.nseconds + 1) % 1_000_000_000, ..ctime };
    let before = client.getattr(&file).unwrap();
    let (status, body) = client.setattr_guarded(&file, mode(0o600), Nfs3Option::Some(wrong)).unwrap_err();
    assert_eq!(status, nfsstat3::NFS3ERR_NOT_SYNC);
    assert_changed(&body.obj_wcc, &before, &world.metadata("build/file"));
    assert_eq!(world.metadata("build/file").mode() & 0o777, 0o644);
    client.setattr_guarded(&file, mode(0o600), Nfs3Option::Some(ctime)).unwrap();
    assert_eq!(world.metadata("build/file").mode() & 0o777, 0o600);
}

#[test]
fn set_id_bits_are_refused_for_everybody() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o755);
    for bits in [0o4755, 0o2755, 0o6000] {
        assert_eq!(refused(world.root().setattr(&file, mode(bits))), nfsstat3::NFS3ERR_PERM);
        assert_eq!(refused(world.builder().setattr(&file, mode(bits))), nfsstat3::NFS3ERR_PERM);
        assert_eq!(refused(world.root().setattr(&world.at("build"), mode(bits))), nfsstat3::NFS3ERR_PERM);
    }
    assert_eq!(world.metadata("build/file").mode() & 0o7777, 0o755);
}

#[test]
fn nothing_outside_writable_places_can_be_changed_by_root_either() {
    let world = World::new();
    for path in ["", "bin", "bin/sh", "dev/null", "etc/passwd", "empty", "package", "package/hello", "file"] {
        let object = world.at(path);
        for set in [mode(0o777), owner(Some(0), None), size(0), sattr3::default()] {
            assert_eq!(refused(world.root().setattr(&object, set)), nfsstat3::NFS3ERR_ROFS, "{path}");
        }
        // Who could not do it anywhere hears just that.
        let done = world.builder().setattr(&object, mode(0o777));
        assert_eq!(refused(done), nfsstat3::NFS3ERR_PERM, "{path}");
    }
    assert_eq!(fs::read(world.host("package/hello")).unwrap(), b"hello\n");
}

#[test]
fn a_writable_graft_is_changed() {
    let world = World::new();
    world.root().setattr(&world.at("writable/note"), size(2)).unwrap();
    assert_eq!(fs::read(world.host("writable/note")).unwrap(), b"no");
}

#[test]
fn only_the_owner_and_root_set_modes_and_explicit_times() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o666);
    let mut other = world.root();
    other.become_user(2000, 2000, &[]);
    let explicit = || times(set_atime::DONT_CHANGE, set_mtime::SET_TO_CLIENT_TIME(MOMENT));
    let now = || times(set_atime::SET_TO_SERVER_TIME, set_mtime::SET_TO_SERVER_TIME);
    assert_eq!(refused(other.setattr(&file, mode(0o777))), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(other.setattr(&file, explicit())), nfsstat3::NFS3ERR_PERM);
    // Whoever may write may say that it was changed now.
    other.setattr(&file, now()).unwrap();
    world.builder().setattr(&file, mode(0o444)).unwrap();
    assert_eq!(refused(other.setattr(&file, now())), nfsstat3::NFS3ERR_ACCES);
    world.builder().setattr(&file, explicit()).unwrap();
}

#[test]
fn only_root_gives_files_away_and_owners_choose_among_their_groups() {
    let world = World::new();
    let file = world.builders_file("build/file", b"", 0o666);
    let mut builder = world.builder();
    builder.become_user(BUILDER, BUILDER, &[7]);
    let chown = |client: &mut Client, uid, gid| client.setattr(&file, owner(uid, gid));
    chown(&mut builder, Some(BUILDER), Some(7)).unwrap();
    assert_eq!(world.metadata("build/file").gid(), 7);
    assert_eq!(refused(chown(&mut builder, None, Some(8))), nfsstat3::NFS3ERR_PERM);
    assert_eq!(refused(chown(&mut builder, Some(0), None)), nfsstat3::NFS3ERR_PERM);
    let mut other = world.root();
    other.become_user(2000, 7, &[]);
    assert_eq!(refused(chown(&mut other, None, Some(7))), nfsstat3::NFS3ERR_PERM);
    chown(&mut world.root(), Some(3), Some(4)).unwrap();
    let host = world.metadata("build/file");
    assert_eq!((host.uid(), host.gid()), (3, 4));
}

#[test]
fn the_owner_sets_the_length_whatever_the_mode_says_and_others_do_not() {
    let world = World::new();
    let file = world.builders_file("build/file", b"0123", 0o444);
    world.builder().setattr(&file, size(1)).unwrap();
    let mut other = world.root();
    other.become_user(2000, 2000, &[]);
    assert_eq!(refused(other.setattr(&file, size(0))), nfsstat3::NFS3ERR_ACCES);
    assert_eq!(world.metadata("build/file").size(), 1);
}

#[test]
fn a_link_keeps_its_mode_and_takes_an_owner_without_being_followed() {
    let world = World::new();
    let mut client = world.root();
    client.symlink(&world.at("build"), b"link", b"/etc/passwd").unwrap();
    let link = world.at("build/link");
    client.setattr(&link, owner(Some(BUILDER), None)).unwrap();
    assert_eq!(world.metadata("build/link").uid(), BUILDER);
    client.setattr(&link, mode(0o600)).unwrap();
    assert_eq!(client.getattr(&link).unwrap().mode, 0o777, "as the kernel's server, it takes no notice");
    assert_eq!(refused(client.setattr(&link, size(0))), nfsstat3::NFS3ERR_INVAL);
}

#[test]
fn the_hosts_own_change_of_mode_counts_for_the_next_caller() {
    let world = World::new();
    let file = world.builders_file("writable/file", b"", 0o600);
    chown(world.host("writable/file"), Some(0), Some(0)).unwrap();
    fs::set_permissions(world.host("writable/file"), fs::Permissions::from_mode(0o640)).unwrap();
    world.root().getattr(&file).unwrap();
    assert_eq!(refused(world.builder().setattr(&file, mode(0o666))), nfsstat3::NFS3ERR_PERM);
}

#[test]
fn directories_and_links_themselves_take_times() {
    let world = World::new();
    let (mut client, build) = (world.builder(), world.at("build"));
    client.mkdir(&build, b"directory", mode(0o755)).unwrap();
    client.symlink(&build, b"link", b"directory").unwrap();
    for (name, seconds) in [("directory", 7), ("link", 9)] {
        let moment = |nseconds| nfstime3 { seconds, nseconds };
        let (atime, mtime) =
            (set_atime::SET_TO_CLIENT_TIME(moment(1)), set_mtime::SET_TO_CLIENT_TIME(moment(2)));
        client.setattr(&world.at(&format!("build/{name}")), times(atime, mtime)).unwrap();
    }
    for (name, seconds) in [("directory", 7), ("link", 9)] {
        let host = world.metadata(&format!("build/{name}"));
        assert_eq!((host.mtime(), host.mtime_nsec()), (seconds, 2), "{name}");
        assert_eq!((host.atime(), host.atime_nsec()), (seconds, 1), "{name}");
    }
}

#[test]
fn set_id_bits_are_refused_where_the_host_makes_changes_too() {
    let world = World::new();
    let note = world.at("writable/note");
    for bits in [0o4755, 0o2755] {
        assert_eq!(refused(world.root().setattr(&note, mode(bits))), nfsstat3::NFS3ERR_PERM);
    }
    assert_eq!(world.metadata("writable/note").mode() & 0o7777, 0o666);
}

#[test]
fn what_is_removed_meanwhile_is_stale() {
    let now = times(set_atime::DONT_CHANGE, set_mtime::SET_TO_SERVER_TIME);
    World::new().assert_stale_once_removed(|client, link| client.setattr(link, now.clone()));
}
