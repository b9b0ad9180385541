//! chmod(2), chown(2), utimensat(2), and what stat(2) says afterwards.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, lchown};
use std::time::{Duration, UNIX_EPOCH};

use crate::cases::place::{USER, inode, mode, stat};
use crate::cases::{Place, cases};

cases![
    modes_are_kept,
    times_are_kept_to_the_nanosecond,
    owners_are_kept_when_root_sets_them,
    a_symbolic_link_has_an_owner_of_its_own,
    writing_changes_the_time,
    inode_numbers_are_the_same_in_listings_and_in_stat,
    free_space_is_reported,
];

fn modes_are_kept(place: &Place) {
    let file = place.file("f", "");
    let directory = place.directory("d");
    for wanted in [0o000, 0o444, 0o755, 0o600] {
        fs::set_permissions(&file, Permissions::from_mode(wanted)).expect("chmod");
        assert_eq!(mode(&file), wanted);
    }
    fs::set_permissions(&directory, Permissions::from_mode(0o1777)).expect("chmod");
    assert_eq!(mode(&directory), 0o1777);
}

fn times_are_kept_to_the_nanosecond(place: &Place) {
    let path = place.file("f", "");
    let modified = UNIX_EPOCH + Duration::new(1_000_000_007, 123_456_789);
    let accessed = UNIX_EPOCH + Duration::new(1, 1);
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_times(FileTimes::new().set_modified(modified).set_accessed(accessed)))
        .expect("utimensat");
    let stat = stat(&path);
    assert_eq!((stat.mtime(), stat.mtime_nsec()), (1_000_000_007, 123_456_789));
    assert_eq!((stat.atime(), stat.atime_nsec()), (1, 1));
}

fn owners_are_kept_when_root_sets_them(place: &Place) {
    let path = place.file("f", "");
    chown(&path, Some(USER), Some(100)).expect("chown");
    assert_eq!((stat(&path).uid(), stat(&path).gid()), (USER, 100));
    chown(&path, None, Some(101)).expect("chgrp");
    assert_eq!((stat(&path).uid(), stat(&path).gid()), (USER, 101));
}

fn a_symbolic_link_has_an_owner_of_its_own(place: &Place) {
    let target = place.file("f", "");
    let link = place.link("l", "f");
    lchown(&link, Some(USER), None).expect("lchown");
    assert_eq!((stat(&link).uid(), stat(&target).uid()), (USER, 0));
}

fn writing_changes_the_time(place: &Place) {
    let path = place.file("f", "");
    let old = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(1000));
    File::options().write(true).open(&path).and_then(|file| file.set_times(old)).expect("utimensat");
    fs::write(&path, "new").expect("write");
    assert!(stat(&path).mtime() > 1_000_000_000, "{}", stat(&path).mtime());
}

fn inode_numbers_are_the_same_in_listings_and_in_stat(place: &Place) {
    place.file("f", "");
    place.directory("d");
    place.link("l", "f");
    for entry in fs::read_dir(place.dir()).expect("list") {
        let entry = entry.expect("entry");
        assert_eq!(
            std::os::unix::fs::DirEntryExt::ino(&entry),
            inode(entry.path()),
            "{}",
            entry.path().display()
        );
        assert_ne!(inode(entry.path()), 0);
    }
}

fn free_space_is_reported(place: &Place) {
    let space = nix::sys::statvfs::statvfs(place.dir()).expect("statvfs");
    assert!(space.blocks() > 0 && space.blocks_available() > 0 && space.name_max() == 255);
}
