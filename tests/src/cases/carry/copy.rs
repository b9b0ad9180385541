//! sendfile(2), copy_file_range(2), splice(2): data that the kernel moves between files.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::fcntl::{SpliceFFlags, copy_file_range, splice};
use nix::sys::sendfile::sendfile;
use nix::unistd::pipe;

use crate::cases::{Place, cases};

cases![
    sendfile_moves_a_file,
    copy_file_range_moves_a_part,
    copy_file_range_stays_on_its_file_system,
    splice_moves_through_a_pipe,
    cp_copies_with_and_without_sharing,
];

const LENGTH: usize = 300_000;

fn contents() -> Vec<u8> {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

fn output(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create_new(true).open(path).expect("a file can be made")
}

fn sendfile_moves_a_file(place: &Place) {
    let from = File::open(place.file("from", contents())).expect("open");
    let to = output(&place.path("to"));
    let mut offset = 1000;
    let mut left = LENGTH - 1000;
    while left > 0 {
        let count = sendfile(&to, &from, Some(&mut offset), left).expect("sendfile");
        assert!(count > 0, "{left} bytes are left");
        left -= count;
    }
    assert_eq!(offset, LENGTH as i64);
    drop(to);
    assert!(fs::read(place.path("to")).expect("read") == contents()[1000..]);
}

fn copied(from: &File, mut start: i64, to: &File, length: usize) {
    let (mut at, mut left) = (0, length);
    while left > 0 {
        let count =
            copy_file_range(from, Some(&mut start), to, Some(&mut at), left).expect("copy_file_range");
        assert!(count > 0, "{left} bytes are left");
        left -= count;
    }
}

fn copy_file_range_moves_a_part(place: &Place) {
    let from = File::open(place.file("from", contents())).expect("open");
    let to = output(&place.path("to"));
    copied(&from, 12_345, &to, 200_000);
    drop(to);
    assert!(fs::read(place.path("to")).expect("read") == contents()[12_345..212_345]);
    // Behind the end there is nothing to copy, and onto itself nothing overlaps.
    let both = OpenOptions::new().read(true).write(true).open(place.path("to")).expect("open");
    assert_eq!(copy_file_range(&both, Some(&mut 200_000), &both, Some(&mut 0), 10), Ok(0));
    assert_eq!(copy_file_range(&both, Some(&mut 0), &both, Some(&mut 5), 10), Err(Errno::EINVAL));
}

/// EXDEV tells programs to copy themselves.
fn copy_file_range_stays_on_its_file_system(place: &Place) {
    let elsewhere = std::env::temp_dir().join(format!("copy-{}", place.ground));
    let from = File::open(place.file("from", contents())).expect("open");
    let to = output(&elsewhere);
    assert_eq!(copy_file_range(&from, Some(&mut 0), &to, Some(&mut 0), 1000), Err(Errno::EXDEV));
    drop(to);
    place.shell(&format!("cp from {0} && cmp from {0} && cp {0} back && cmp from back", elsewhere.display()));
    fs::remove_file(elsewhere).expect("unlink");
}

fn splice_moves_through_a_pipe(place: &Place) {
    let from = File::open(place.file("from", contents())).expect("open");
    let to = output(&place.path("to"));
    let (reader, writer) = pipe().expect("pipe");
    thread::scope(|scope| {
        scope.spawn(move || {
            while splice(&from, None, &writer, None, LENGTH, SpliceFFlags::empty()).expect("splice") > 0 {}
        });
        while splice(&reader, None, &to, None, LENGTH, SpliceFFlags::empty()).expect("splice") > 0 {}
    });
    drop(to);
    let mut all = Vec::new();
    File::open(place.path("to")).and_then(|mut file| file.read_to_end(&mut all)).expect("read");
    assert!(all == contents());
}

fn cp_copies_with_and_without_sharing(place: &Place) {
    place.file("from", contents());
    place.shell(
        "cp --reflink=auto from auto && cmp from auto && cp --reflink=never from never && cmp from never",
    );
    let refused = place.try_shell("cp --reflink=always from always");
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("Operation not supported"), "{said}");
}
