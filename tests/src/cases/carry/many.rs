//! More of everything than a server keeps open or remembers: files, names of one file, directories, levels.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::cases::place::{inode, stat};
use crate::cases::{Place, cases};

cases![
    ten_thousand_files_are_open_at_once,
    a_file_of_many_names_is_found_by_each_that_stays,
    an_open_file_stays_while_its_many_names_go,
    many_directories_move_with_their_parent,
    a_file_many_levels_deep_stays_while_they_move,
    a_listing_goes_on_after_many_others,
];

/// Forgets everything that is not in use, so that it has to come from the server again.
fn drop_caches() {
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
}

fn ten_thousand_files_are_open_at_once(place: &Place) {
    const FILES: u32 = 10_000;
    let path = |number: u32| place.path(format!("d{}/f{number}", number % 10));
    for directory in 0..10 {
        place.directory(format!("d{directory}"));
    }
    let files: Vec<File> = (0..FILES)
        .map(|number| {
            let opened = OpenOptions::new().read(true).write(true).create_new(true).open(path(number));
            let mut file = opened.expect("open");
            file.write_all(&number.to_le_bytes()).expect("write");
            file
        })
        .collect();
    for number in (0..FILES).step_by(10) {
        fs::remove_file(path(number)).expect("unlink");
    }
    for (number, file) in (0..).zip(&files) {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(u32::from_le_bytes(bytes), number);
    }
    drop(files);
    place.shell("rm -rf d0 && test $(cat d?/f* | wc -c) = 36000");
}

/// Names of one file, far more than one in a directory.
const NAMES: u32 = 300;

fn names(place: &Place) -> Vec<PathBuf> {
    place.directory("names");
    let first = place.file("names/0", "contents");
    let others = (1..NAMES).map(|number| {
        let name = place.path(format!("names/{number}"));
        fs::hard_link(&first, &name).expect("link");
        name
    });
    let others: Vec<PathBuf> = others.collect();
    std::iter::once(first).chain(others).collect()
}

fn a_file_of_many_names_is_found_by_each_that_stays(place: &Place) {
    let names = names(place);
    let number = inode(&names[0]);
    for (name, next) in names.iter().zip(&names[1..]).rev() {
        fs::remove_file(next).expect("unlink");
        assert_eq!(inode(name), number);
    }
    drop_caches();
    assert_eq!(fs::read(&names[0]).expect("read"), b"contents");
    fs::write(&names[0], "changed").expect("write");
    drop_caches();
    assert_eq!(fs::read(&names[0]).expect("read"), b"changed");
    assert_eq!(place.names("names"), ["0"]);
}

fn an_open_file_stays_while_its_many_names_go(place: &Place) {
    let names = names(place);
    let held = OpenOptions::new().read(true).write(true).open(&names[0]).expect("open");
    // Opens others, so that no server still has this one open by chance.
    for number in 0..2000 {
        place.file(format!("other{number}"), "other");
    }
    for name in names[1..].iter().rev() {
        fs::remove_file(name).expect("unlink");
    }
    drop_caches();
    let mut bytes = [0; 8];
    held.read_exact_at(&mut bytes, 0).expect("read");
    assert_eq!(&bytes, b"contents");
    held.write_all_at(b"CONTENTS", 0).expect("write");
    held.sync_all().expect("fsync");
    assert_eq!(fs::read(&names[0]).expect("read"), b"CONTENTS");
}

fn many_directories_move_with_their_parent(place: &Place) {
    const DIRECTORIES: u32 = 3000;
    place.directory("parent");
    for number in 0..DIRECTORIES {
        place.directory(format!("parent/{number}"));
        place.file(format!("parent/{number}/f"), number.to_string());
    }
    let held: Vec<File> = (0..DIRECTORIES)
        .step_by(10)
        .map(|number| File::open(place.path(format!("parent/{number}/f"))).expect("open"))
        .collect();
    fs::rename(place.path("parent"), place.path("moved")).expect("rename");
    drop_caches();
    for (number, file) in (0..).step_by(10).zip(&held) {
        let text = number.to_string();
        let mut bytes = vec![0; text.len()];
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }
    for number in (0..DIRECTORIES).rev() {
        let text = fs::read_to_string(place.path(format!("moved/{number}/f"))).expect("read");
        assert_eq!(text, number.to_string());
    }
    drop(held);
    assert_eq!(stat(place.path("moved")).file_type(), stat(place.dir()).file_type());
    place.shell("rm -r moved");
}

fn a_file_many_levels_deep_stays_while_they_move(place: &Place) {
    const LEVELS: usize = 300;
    let deep = vec!["d"; LEVELS].join("/");
    place.directory(&deep);
    let file = place.file(format!("{deep}/f"), "deep");
    let held = OpenOptions::new().read(true).write(true).open(file).expect("open");
    // The lower half moves out, then the upper one into it.
    let (upper, lower) = (vec!["d"; LEVELS / 2].join("/"), vec!["d"; LEVELS - LEVELS / 2].join("/"));
    fs::rename(place.path(format!("{upper}/d")), place.path("lower")).expect("rename");
    let bottom = format!("lower/{}", &lower[2..]);
    fs::rename(place.path("d"), place.path(format!("{bottom}/upper"))).expect("rename");
    drop_caches();
    held.write_all_at(b"DEEP", 0).expect("write");
    held.sync_all().expect("fsync");
    assert_eq!(fs::read(place.path(format!("{bottom}/f"))).expect("read"), b"DEEP");
    assert!(stat(place.path(format!("{bottom}/upper/{}", &upper[2..]))).is_dir());
    drop(held);
    place.shell("rm -r lower");
    assert!(place.names("").is_empty());
}

/// A listing that is half read while a thousand other directories are listed and changed.
fn a_listing_goes_on_after_many_others(place: &Place) {
    const FILES: usize = 5000;
    place.directory("large");
    for number in 0..FILES {
        place.file(format!("large/{number}"), "");
    }
    drop_caches();
    let mut listing = fs::read_dir(place.path("large")).expect("list");
    let mut seen: Vec<_> =
        listing.by_ref().take(100).map(|entry| entry.expect("entry").file_name()).collect();
    for number in 0..1200 {
        place.directory(format!("other{number}/below"));
        assert_eq!(place.names(format!("other{number}")), ["below"]);
    }
    drop_caches();
    seen.extend(listing.map(|entry| entry.expect("entry").file_name()));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), FILES);
}
