//! open(2) with O_CREAT, mkdir(2), symlink(2).

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::sync::Barrier;
use std::thread;

use nix::errno::Errno;

use crate::cases::place::{errno, mode, stat};
use crate::cases::{Place, cases};

cases![
    an_exclusive_create_has_one_winner,
    a_new_file_has_the_asked_mode_less_umask,
    an_existing_name_cannot_be_made_again,
    a_file_below_a_file_is_not_a_directory,
    a_symbolic_link_keeps_its_text,
    an_open_file_can_be_written_though_its_mode_forbids_it,
    truncation_on_open_empties_the_file,
];

fn an_exclusive_create_has_one_winner(place: &Place) {
    let path = place.path("lock");
    let start = Barrier::new(8);
    let won = thread::scope(|scope| {
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    OpenOptions::new().write(true).create_new(true).open(&path).is_ok()
                })
            })
            .collect();
        attempts.into_iter().filter_map(|attempt| attempt.join().ok()).filter(|&won| won).count()
    });
    assert_eq!(won, 1);
    assert_eq!(errno(OpenOptions::new().write(true).create_new(true).open(&path)), Errno::EEXIST);
}

fn a_new_file_has_the_asked_mode_less_umask(place: &Place) {
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o027));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o777).open(place.path("f"));
    let directory = fs::DirBuilder::new().mode(0o777).create(place.path("d"));
    nix::sys::stat::umask(old);
    made.expect("a file can be made");
    directory.expect("a directory can be made");
    assert_eq!((mode(place.path("f")), mode(place.path("d"))), (0o750, 0o750));
}

fn an_existing_name_cannot_be_made_again(place: &Place) {
    place.file("f", "");
    place.directory("d");
    for name in ["f", "d"] {
        assert_eq!(errno(fs::create_dir(place.path(name))), Errno::EEXIST);
        assert_eq!(errno(std::os::unix::fs::symlink("x", place.path(name))), Errno::EEXIST);
    }
}

fn a_file_below_a_file_is_not_a_directory(place: &Place) {
    place.file("f", "");
    assert_eq!(errno(fs::write(place.path("f/g"), "")), Errno::ENOTDIR);
    assert_eq!(errno(fs::write(place.path("none/g"), "")), Errno::ENOENT);
    assert_eq!(errno(fs::write(place.dir(), "")), Errno::EISDIR);
}

fn a_symbolic_link_keeps_its_text(place: &Place) {
    let long = "x/".repeat(500);
    for (name, target) in [("absolute", "/nowhere/at all"), ("relative", "../a b"), ("long", long.as_str())] {
        let path = place.link(name, target);
        assert_eq!(fs::read_link(&path).expect("a link can be read").to_str(), Some(target));
        assert_eq!(stat(&path).len(), target.len() as u64);
        assert_eq!(errno(fs::read(&path)), Errno::ENOENT);
    }
}

fn an_open_file_can_be_written_though_its_mode_forbids_it(place: &Place) {
    place.give();
    crate::cases::place::as_user(crate::cases::place::USER, || {
        use std::io::Write;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o444)
            .open(place.path("f"))
            .expect("a read-only file can be made open for writing");
        file.write_all(b"written").expect("it can be written");
        drop(file);
        assert_eq!(fs::read(place.path("f")).expect("it can be read"), b"written");
    });
}

fn truncation_on_open_empties_the_file(place: &Place) {
    let path = place.file("f", "something");
    drop(OpenOptions::new().write(true).truncate(true).open(&path).expect("it can be opened"));
    assert_eq!(stat(&path).len(), 0);
}
