//! getdents(2): listings that are complete, also of large directories and while they change.

use std::collections::HashSet;
use std::fs::{self, File};

use crate::cases::{Place, cases};

cases![
    a_listing_has_every_name_once,
    deleting_while_listing_skips_nothing,
    a_directory_of_100000_files_is_listed_whole,
];

fn fill(place: &Place, count: u32) {
    for number in 0..count {
        File::create(place.path(format!("file-{number}"))).expect("a file can be made");
    }
}

fn a_listing_has_every_name_once(place: &Place) {
    fill(place, 3000);
    let names = place.names("");
    let distinct: HashSet<&String> = names.iter().collect();
    assert_eq!((names.len(), distinct.len()), (3000, 3000));
}

fn deleting_while_listing_skips_nothing(place: &Place) {
    fill(place, 3000);
    let mut seen = HashSet::new();
    for entry in fs::read_dir(place.dir()).expect("list") {
        let entry = entry.expect("entry");
        assert!(seen.insert(entry.file_name()), "{} comes twice", entry.path().display());
        fs::remove_file(entry.path()).expect("unlink");
    }
    assert_eq!(seen.len(), 3000);
    assert!(place.names("").is_empty());
}

fn a_directory_of_100000_files_is_listed_whole(place: &Place) {
    fill(place, 100_000);
    let count = || place.names("").len();
    assert_eq!(count(), 100_000);
    // Once more from the server instead of from memory.
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
    let names: HashSet<_> =
        fs::read_dir(place.dir()).expect("list").map(|entry| entry.expect("entry").file_name()).collect();
    assert_eq!(names.len(), 100_000);
    place.shell("find . -type f -delete");
    assert_eq!(count(), 0);
}
