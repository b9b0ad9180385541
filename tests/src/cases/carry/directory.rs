//! getdents(2): listings that are complete, also of large directories and while they change.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};

use crate::cases::{Place, cases};

cases![
    a_listing_has_every_name_once,
    deleting_while_listing_skips_nothing,
    a_directory_of_100000_files_is_listed_whole,
];

/// How many files a large directory has.
const FILES: u32 = 100_000;

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
    fill(place, FILES);
    assert_eq!(place.names("").len(), FILES as usize);
    // From the server instead of from memory, while another process makes and removes names.
    drop_caches();
    let mut churning = place.other(["churn", "."]);
    assert_eq!(churning.hear(), "churning");
    let seen = distinct_files(place, |_| ());
    assert_eq!(seen, FILES as usize);
    churning.end();
    // While what is listed is removed, and other names are made in its place.
    drop_caches();
    let mut number = 0;
    let seen = distinct_files(place, |name| {
        fs::remove_file(place.path(name)).expect("unlink");
        if number % 10 == 0 {
            File::create(place.path(format!("new-{number}"))).expect("create");
        }
        number += 1;
    });
    assert_eq!(seen, FILES as usize);
    assert_eq!(place.names("").len(), FILES as usize / 10);
    place.shell("find . -type f -delete");
    assert!(place.names("").is_empty());
}

/// Lists the directory once and counts the names that `fill` made; each comes once.
fn distinct_files(place: &Place, mut each: impl FnMut(&OsStr)) -> usize {
    let mut seen = HashSet::new();
    for entry in fs::read_dir(place.dir()).expect("list") {
        let name = entry.expect("entry").file_name();
        if name.as_encoded_bytes().starts_with(b"file-") {
            each(&name);
            assert!(seen.insert(name.clone()), "{} comes twice", name.display());
        }
    }
    seen.len()
}

fn drop_caches() {
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
}
