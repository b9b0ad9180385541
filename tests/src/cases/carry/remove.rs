//! unlink(2) and rmdir(2), also of what is open.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};

use nix::errno::Errno;

use crate::cases::place::errno;
use crate::cases::{Place, cases};

cases![
    an_unlinked_open_file_stays_usable,
    a_tree_with_open_files_can_be_removed,
    a_full_directory_is_not_removed,
    kinds_are_told_apart,
    a_removed_name_can_be_used_again,
    the_working_directory_can_be_removed,
];

fn an_unlinked_open_file_stays_usable(place: &Place) {
    let path = place.path("f");
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("a file can be made");
    fs::remove_file(&path).expect("unlink");
    assert!(place.names("").is_empty(), "{:?}", place.names(""));
    file.write_all(b"still here").expect("write");
    let mut text = [0; 10];
    std::os::unix::fs::FileExt::read_exact_at(&file, &mut text, 0).expect("read");
    assert_eq!(&text, b"still here");
}

fn a_tree_with_open_files_can_be_removed(place: &Place) {
    place.directory("tree/sub");
    let open: Vec<File> = (0..20)
        .map(|number| {
            let directory = if number % 2 == 0 { "tree" } else { "tree/sub" };
            File::open(place.file(format!("{directory}/f{number}"), "open")).expect("open")
        })
        .collect();
    place.shell("rm -rf tree");
    assert!(place.names("").is_empty());
    for mut file in open {
        let mut text = String::new();
        file.read_to_string(&mut text).expect("an open file outlives its name");
        assert_eq!(text, "open");
    }
}

fn a_full_directory_is_not_removed(place: &Place) {
    let directory = place.directory("d");
    place.file("d/f", "");
    let refused = errno(fs::remove_dir(&directory));
    assert!(matches!(refused, Errno::ENOTEMPTY | Errno::EEXIST), "{refused}");
    fs::remove_file(place.path("d/f")).expect("unlink");
    fs::remove_dir(&directory).expect("rmdir");
}

fn kinds_are_told_apart(place: &Place) {
    let (file, directory) = (place.file("f", ""), place.directory("d"));
    assert_eq!(errno(fs::remove_dir(&file)), Errno::ENOTDIR);
    assert_eq!(nix::unistd::unlink(&directory), Err(Errno::EISDIR));
    assert_eq!(errno(fs::remove_file(place.path("none"))), Errno::ENOENT);
}

fn a_removed_name_can_be_used_again(place: &Place) {
    for round in 0..50 {
        let path = place.file("f", format!("{round}"));
        assert_eq!(fs::read_to_string(&path).expect("read"), format!("{round}"));
        fs::remove_file(&path).expect("unlink");
        fs::create_dir(&path).expect("mkdir");
        fs::remove_dir(&path).expect("rmdir");
    }
}

fn the_working_directory_can_be_removed(place: &Place) {
    place.shell("mkdir d && cd d && rmdir ../d && ! ls . 2>/dev/null || true");
    assert!(place.names("").is_empty());
}
