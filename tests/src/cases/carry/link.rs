//! link(2).

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;

use crate::cases::place::{errno, inode, stat};
use crate::cases::{Place, cases};

cases![
    two_names_are_one_file,
    a_name_survives_the_others_removal,
    a_name_that_exists_is_not_linked_over,
    a_directory_cannot_be_linked,
    a_link_to_a_symbolic_link_is_one,
    a_directory_counts_its_directories,
    an_open_files_links_are_counted,
];

fn two_names_are_one_file(place: &Place) {
    let one = place.file("one", "x");
    let two = place.directory("d").join("two");
    fs::hard_link(&one, &two).expect("a hard link can be made");
    assert_eq!(inode(&one), inode(&two));
    assert_eq!((stat(&one).nlink(), stat(&two).nlink()), (2, 2));
    fs::write(&two, "changed").expect("write");
    assert_eq!(fs::read(&one).expect("read"), b"changed");
}

fn a_name_survives_the_others_removal(place: &Place) {
    let one = place.file("one", "x");
    let two = place.path("two");
    fs::hard_link(&one, &two).expect("a hard link can be made");
    fs::remove_file(&one).expect("unlink");
    assert_eq!((fs::read(&two).expect("read"), stat(&two).nlink()), (b"x".to_vec(), 1));
    assert_eq!(errno(fs::read(&one)), Errno::ENOENT);
}

fn a_name_that_exists_is_not_linked_over(place: &Place) {
    let (one, two) = (place.file("one", ""), place.file("two", ""));
    assert_eq!(errno(fs::hard_link(&one, &two)), Errno::EEXIST);
    assert_eq!(errno(fs::hard_link(place.path("none"), place.path("three"))), Errno::ENOENT);
}

fn a_directory_cannot_be_linked(place: &Place) {
    let directory = place.directory("d");
    assert_eq!(errno(fs::hard_link(directory, place.path("e"))), Errno::EPERM);
}

fn a_link_to_a_symbolic_link_is_one(place: &Place) {
    let link = place.link("link", "nowhere");
    fs::hard_link(&link, place.path("other")).expect("a hard link to a symbolic link can be made");
    assert_eq!(fs::read_link(place.path("other")).expect("readlink").to_str(), Some("nowhere"));
}

/// Itself, its name, and the `..` of each directory in it.
fn a_directory_counts_its_directories(place: &Place) {
    let directory = place.directory("d");
    let other = place.directory("other");
    let links = || (stat(&directory).nlink(), stat(&other).nlink());
    assert_eq!(links(), (2, 2));
    place.file("d/f", "");
    assert_eq!(links(), (2, 2));
    place.directory("d/one");
    place.directory("d/two");
    assert_eq!(links(), (4, 2));
    fs::rename(place.path("d/one"), place.path("other/one")).expect("rename");
    assert_eq!(links(), (3, 3));
    fs::rename(place.path("d/two"), place.path("other/one")).expect("rename over an empty directory");
    assert_eq!(links(), (2, 3));
    fs::remove_dir(place.path("other/one")).expect("rmdir");
    assert_eq!(links(), (2, 2));
}

fn an_open_files_links_are_counted(place: &Place) {
    let path = place.file("one", "");
    let open = fs::File::open(&path).expect("open");
    let links = || open.metadata().expect("fstat").nlink();
    for number in 0..100 {
        fs::hard_link(&path, place.path(format!("other{number}"))).expect("link");
    }
    assert_eq!(links(), 101);
    fs::remove_file(&path).expect("unlink");
    fs::rename(place.path("other0"), place.path("other1")).expect("two names of one file");
    fs::remove_file(place.path("other0")).expect("unlink");
    // An NFS client keeps the name that was open, as `.nfs…`.
    assert_eq!(links(), if place.is_local() { 99 } else { 100 });
}
