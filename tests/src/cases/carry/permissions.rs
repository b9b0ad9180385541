//! What users other than root may do: judged by the modes, as on any file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};

use nix::errno::Errno;

use crate::cases::place::{USER, as_user, errno, stat};
use crate::cases::{Place, cases};

cases![
    a_users_file_belongs_to_the_user,
    a_closed_directory_is_closed,
    a_read_only_file_is_not_written,
    a_sticky_directory_keeps_others_files,
    only_the_owner_changes_modes,
    a_user_gives_nothing_away,
];

fn a_users_file_belongs_to_the_user(place: &Place) {
    use std::os::unix::fs::MetadataExt;
    place.give();
    as_user(USER, || {
        let stat = stat(place.file("f", "mine"));
        assert_eq!((stat.uid(), stat.gid()), (USER, USER));
        let stat = crate::cases::place::stat(place.directory("d"));
        assert_eq!((stat.uid(), stat.gid()), (USER, USER));
    });
}

fn a_closed_directory_is_closed(place: &Place) {
    let directory = place.directory("d");
    place.file("d/f", "secret");
    fs::set_permissions(&directory, Permissions::from_mode(0o700)).expect("chmod");
    as_user(USER, || {
        assert_eq!(errno(fs::read(place.path("d/f"))), Errno::EACCES);
        assert_eq!(errno(fs::read_dir(&directory)), Errno::EACCES);
        assert_eq!(errno(fs::write(place.path("d/g"), "")), Errno::EACCES);
    });
}

fn a_read_only_file_is_not_written(place: &Place) {
    let path = place.file("f", "x");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).expect("chmod");
    as_user(USER, || {
        assert_eq!(fs::read(&path).expect("it can be read"), b"x");
        assert_eq!(errno(fs::write(&path, "y")), Errno::EACCES);
    });
    fs::set_permissions(&path, Permissions::from_mode(0o000)).expect("chmod");
    fs::write(&path, "root may").expect("root writes whatever the mode");
}

fn a_sticky_directory_keeps_others_files(place: &Place) {
    let directory = place.directory("d");
    fs::set_permissions(&directory, Permissions::from_mode(0o1777)).expect("chmod");
    let roots = place.file("d/roots", "");
    as_user(USER, || {
        assert!(matches!(errno(fs::remove_file(&roots)), Errno::EPERM | Errno::EACCES));
        let mine = place.file("d/mine", "");
        assert!(matches!(errno(fs::rename(&mine, &roots)), Errno::EPERM | Errno::EACCES));
        fs::remove_file(&mine).expect("one's own can be removed");
    });
}

fn only_the_owner_changes_modes(place: &Place) {
    let path = place.file("f", "");
    as_user(USER, || {
        assert_eq!(errno(fs::set_permissions(&path, Permissions::from_mode(0o777))), Errno::EPERM);
    });
}

fn a_user_gives_nothing_away(place: &Place) {
    let path = place.file("f", "");
    chown(&path, Some(USER), Some(USER)).expect("root gives");
    as_user(USER, || {
        assert_eq!(errno(chown(&path, Some(0), None)), Errno::EPERM);
        assert_eq!(errno(chown(&path, Some(USER + 1), None)), Errno::EPERM);
    });
}
