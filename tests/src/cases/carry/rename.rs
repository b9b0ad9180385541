//! rename(2).

use std::fs::{self, File};
use std::io::Read;

use nix::errno::Errno;

use crate::cases::place::{errno, inode};
use crate::cases::{Place, cases};

cases![
    a_file_replaces_a_file,
    an_open_file_that_is_replaced_stays_readable,
    a_directory_moves_with_what_is_in_it,
    a_directory_replaces_an_empty_one_only,
    kinds_do_not_replace_each_other,
    a_directory_does_not_move_into_itself,
    renaming_to_another_name_of_the_same_file_changes_nothing,
];

fn a_file_replaces_a_file(place: &Place) {
    let (one, two) = (place.file("one", "new"), place.file("two", "old"));
    let number = inode(&one);
    fs::rename(&one, &two).expect("rename");
    assert_eq!((fs::read(&two).expect("read"), inode(&two)), (b"new".to_vec(), number));
    assert_eq!(place.names(""), ["two"]);
}

fn an_open_file_that_is_replaced_stays_readable(place: &Place) {
    let (one, two) = (place.file("one", "new"), place.file("two", "old"));
    let mut open = File::open(&two).expect("open");
    fs::rename(&one, &two).expect("rename");
    // A client removes the name of an open file some time after it was closed: what is listed is told while it is open.
    assert_eq!(place.names(""), ["two"]);
    let mut text = String::new();
    open.read_to_string(&mut text).expect("the replaced file can be read");
    assert_eq!(text, "old");
    drop(open);
    assert_eq!(place.names(""), ["two"]);
}

fn a_directory_moves_with_what_is_in_it(place: &Place) {
    place.directory("a/b");
    place.file("a/b/f", "x");
    place.directory("c");
    fs::rename(place.path("a/b"), place.path("c/d")).expect("rename");
    assert_eq!(fs::read(place.path("c/d/f")).expect("read"), b"x");
    assert_eq!((place.names("a").len(), place.names("c")), (0, vec!["d".to_owned()]));
    place.shell("cd c/d && test \"$(ls ..)\" = d");
}

fn a_directory_replaces_an_empty_one_only(place: &Place) {
    place.directory("a");
    place.file("a/f", "");
    place.directory("empty");
    place.directory("full");
    place.file("full/g", "");
    let refused = errno(fs::rename(place.path("a"), place.path("full")));
    assert!(matches!(refused, Errno::ENOTEMPTY | Errno::EEXIST), "{refused}");
    fs::rename(place.path("a"), place.path("empty")).expect("an empty directory is replaced");
    assert_eq!(place.names("empty"), ["f"]);
}

fn kinds_do_not_replace_each_other(place: &Place) {
    let (file, directory) = (place.file("f", ""), place.directory("d"));
    assert_eq!(errno(fs::rename(&file, &directory)), Errno::EISDIR);
    assert_eq!(errno(fs::rename(&directory, &file)), Errno::ENOTDIR);
}

fn a_directory_does_not_move_into_itself(place: &Place) {
    place.directory("a/b");
    assert_eq!(errno(fs::rename(place.path("a"), place.path("a/b/c"))), Errno::EINVAL);
}

fn renaming_to_another_name_of_the_same_file_changes_nothing(place: &Place) {
    let (one, two) = (place.file("one", "x"), place.path("two"));
    fs::hard_link(&one, &two).expect("link");
    fs::rename(&one, &two).expect("rename");
    assert_eq!(place.names(""), ["one", "two"]);
}
