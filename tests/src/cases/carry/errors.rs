//! Which error comes first: of names that are too long, of dots and slashes, and where two would be right.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::unlink;

use crate::cases::place::{USER, as_user, errno};
use crate::cases::{Place, cases};

cases![
    a_path_of_4096_bytes_is_too_long,
    a_name_of_256_bytes_is_too_long_everywhere,
    dots_are_neither_made_nor_removed,
    a_slash_at_the_end_asks_for_a_directory,
    what_exists_is_told_before_what_is_forbidden,
    a_file_on_the_way_is_no_directory,
    a_name_is_freed_only_by_its_own_kind,
];

fn a_path_of_4096_bytes_is_too_long(place: &Place) {
    let above = place.dir().to_str().expect("plain names");
    let to = |length: usize| format!("{above}{}f", "/".repeat(length - above.len() - 1));
    // The limit counts the byte that ends the path.
    fs::write(to(4095), "x").expect("a path of 4,095 bytes");
    assert_eq!(errno(fs::write(to(4096), "x")), Errno::ENAMETOOLONG);
    assert_eq!(errno(fs::read(to(4096))), Errno::ENAMETOOLONG);
    assert_eq!(place.names(""), ["f"]);
}

fn a_name_of_256_bytes_is_too_long_everywhere(place: &Place) {
    let long = place.path("n".repeat(256));
    let file = place.file("f", "");
    let outcomes = [
        errno(File::open(&long)),
        errno(fs::create_dir(&long)),
        errno(symlink("x", &long)),
        errno(fs::hard_link(&file, &long)),
        errno(fs::rename(&file, &long)),
        errno(fs::rename(&long, &file)),
        errno(fs::remove_file(&long)),
        errno(fs::remove_dir(&long)),
        errno(fs::metadata(&long)),
        errno(fs::metadata(long.join("below"))),
    ];
    assert_eq!(outcomes, [Errno::ENAMETOOLONG; 10]);
    // 255 bytes, of 85 characters.
    let wide = place.file("\u{4e2d}".repeat(85), "x");
    assert_eq!(fs::read(wide).expect("read"), b"x");
    assert_eq!(errno(fs::write(place.path("\u{4e2d}".repeat(86)), "")), Errno::ENAMETOOLONG);
}

fn dots_are_neither_made_nor_removed(place: &Place) {
    let directory = place.directory("d");
    place.directory("d/e");
    for dots in [".", "..", "e/..", "e/."] {
        assert_eq!(errno(fs::create_dir(directory.join(dots))), Errno::EEXIST, "{dots}");
    }
    assert_eq!(errno(fs::remove_dir(directory.join("."))), Errno::EINVAL);
    assert_eq!(errno(fs::remove_dir(directory.join("e/.."))), Errno::ENOTEMPTY);
    assert_eq!(unlink(&directory.join(".")), Err(Errno::EISDIR));
    for dots in ["e/.", "e/.."] {
        assert_eq!(errno(fs::rename(directory.join(dots), place.path("x"))), Errno::EBUSY, "{dots}");
        assert_eq!(errno(fs::rename(place.path("d/e"), directory.join(dots))), Errno::EBUSY, "{dots}");
    }
}

fn a_slash_at_the_end_asks_for_a_directory(place: &Place) {
    place.file("f", "");
    assert_eq!(errno(fs::metadata(place.path("f/"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::remove_file(place.path("f/"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::write(place.path("new/"), "")), Errno::EISDIR);
    assert_eq!(errno(fs::rename(place.path("f"), place.path("g/"))), Errno::ENOTDIR);
    assert_eq!(errno(fs::hard_link(place.path("f"), place.path("g/"))), Errno::ENOENT);
    fs::create_dir(place.path("d/")).expect("a directory may be asked for");
    fs::rename(place.path("d/"), place.path("e/")).expect("and moved");
    fs::remove_dir(place.path("e/")).expect("and removed");
}

fn what_exists_is_told_before_what_is_forbidden(place: &Place) {
    place.directory("d/sub");
    place.file("d/f", "");
    place.shell("chmod 755 d");
    as_user(USER, || {
        assert_eq!(errno(fs::create_dir(place.path("d/sub"))), Errno::EEXIST);
        assert_eq!(errno(File::create_new(place.path("d/f"))), Errno::EEXIST);
        assert_eq!(errno(symlink("x", place.path("d/f"))), Errno::EEXIST);
        assert_eq!(errno(fs::create_dir(place.path("d/new"))), Errno::EACCES);
        assert_eq!(errno(fs::remove_file(place.path("d/none"))), Errno::ENOENT);
        assert_eq!(errno(fs::remove_dir(place.path("d/none"))), Errno::ENOENT);
        assert_eq!(errno(fs::remove_file(place.path("d/f"))), Errno::EACCES);
        assert_eq!(errno(fs::remove_dir(place.path("d/sub"))), Errno::EACCES);
    });
    place.shell("chmod 700 d");
    // Whoever may not search a directory learns nothing of what is in it.
    as_user(USER, || {
        assert_eq!(errno(fs::create_dir(place.path("d/sub"))), Errno::EACCES);
        assert_eq!(errno(fs::remove_file(place.path("d/none"))), Errno::EACCES);
    });
}

fn a_file_on_the_way_is_no_directory(place: &Place) {
    let file = place.file("f", "");
    let below = place.path("f/x");
    let outcomes = [
        errno(File::open(&below)),
        errno(File::create(&below)),
        errno(fs::create_dir(&below)),
        errno(symlink("x", &below)),
        errno(fs::hard_link(&file, &below)),
        errno(fs::rename(&file, &below)),
        errno(fs::remove_file(&below)),
        errno(fs::remove_dir(&below)),
        errno(fs::read_link(&below)),
        errno(fs::read_dir(&file)),
    ];
    assert_eq!(outcomes, [Errno::ENOTDIR; 10]);
    let held = File::open(&file).expect("open");
    assert_eq!(openat(&held, "x", OFlag::O_RDONLY, Mode::empty()).map(drop), Err(Errno::ENOTDIR));
    assert_eq!(errno(fs::read_link(&file)), Errno::EINVAL);
    assert_eq!(openat(AT_FDCWD, "", OFlag::O_RDONLY, Mode::empty()).map(drop), Err(Errno::ENOENT));
}

fn a_name_is_freed_only_by_its_own_kind(place: &Place) {
    let (file, full, empty) = (place.file("f", ""), place.directory("full"), place.directory("empty"));
    place.file("full/f", "");
    let link = place.link("l", "empty");
    assert_eq!(errno(fs::rename(&full, &file)), Errno::ENOTDIR);
    assert_eq!(errno(fs::rename(&full, &link)), Errno::ENOTDIR);
    assert_eq!(errno(fs::rename(&file, &empty)), Errno::EISDIR);
    assert_eq!(errno(fs::rename(&link, &empty)), Errno::EISDIR);
    assert_eq!(errno(fs::rename(&full, full.join("f"))), Errno::EINVAL);
    assert_eq!(errno(fs::rename(full.join("f"), &full)), Errno::ENOTEMPTY);
    assert_eq!(errno(fs::rename(place.path("none"), &file)), Errno::ENOENT);
    fs::rename(&full, &full).expect("onto itself");
    assert_eq!(place.names(""), ["empty", "f", "full", "l"]);
}
