//! truncate(2) and O_TRUNC of files that are open, mapped, or somebody else's.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;

use nix::errno::Errno;
use nix::unistd::truncate;

use crate::cases::place::{USER, as_user, stat};
use crate::cases::{Place, cases};
use crate::sys::Shared;

cases![
    a_mapping_ends_where_the_file_was_cut,
    what_was_cut_off_is_zeros_when_the_file_grows_again,
    what_a_mapping_wrote_behind_the_end_is_not_in_the_file,
    a_reader_meets_the_new_end,
    only_who_may_write_may_cut,
];

const PAGE: NonZeroUsize = NonZeroUsize::new(4096).expect("not zero");

fn open(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).expect("a file can be opened")
}

fn a_mapping_ends_where_the_file_was_cut(place: &Place) {
    place.file("f", vec![7; 3 * PAGE.get()]);
    let mut other = place.other(["look-past", "f"]);
    let (status, lines) = other.last();
    assert_eq!(lines, ["before 7", "first page 7 0", "and now"]);
    assert_eq!(status.signal(), Some(libc::SIGBUS));
}

fn what_was_cut_off_is_zeros_when_the_file_grows_again(place: &Place) {
    let path = place.file("f", vec![b'x'; 10_000]);
    let file = open(&path);
    let memory = Shared::map(&file, PAGE).expect("a file can be mapped");
    file.set_len(10).expect("shorten");
    file.set_len(10_000).expect("lengthen");
    assert_eq!((memory.get(9), memory.get(10), memory.get(4095)), (b'x', 0, 0));
    drop((memory, file));
    let all = fs::read(&path).expect("read");
    assert_eq!(all.len(), 10_000);
    assert!(all[10..].iter().all(|&byte| byte == 0));
}

fn what_a_mapping_wrote_behind_the_end_is_not_in_the_file(place: &Place) {
    let path = place.file("f", vec![b'x'; 100]);
    let file = open(&path);
    let mut memory = Shared::map(&file, PAGE).expect("a file can be mapped");
    memory.set(200, b'!');
    memory.flush().expect("msync");
    drop(memory);
    assert_eq!(stat(&path).len(), 100);
    file.set_len(300).expect("lengthen");
    let mut bytes = [1; 200];
    file.read_exact_at(&mut bytes, 100).expect("read");
    assert_eq!(bytes, [0; 200]);
}

fn a_reader_meets_the_new_end(place: &Place) {
    let path = place.file("f", vec![b'x'; 5000]);
    let mut reader = open(&path);
    reader.read_exact(&mut [0; 1000]).expect("read");
    drop(OpenOptions::new().write(true).truncate(true).open(&path).expect("O_TRUNC"));
    assert_eq!(reader.read(&mut [0; 1000]).expect("read behind the end"), 0);
    // Written at the reader's own place: what lies before is a hole.
    reader.write_all_at(b"y", 1000).expect("write");
    assert_eq!(fs::read(&path).expect("read")[999..], *b"\0y");
}

fn only_who_may_write_may_cut(place: &Place) {
    let path = place.file("f", "something");
    place.shell("chmod 644 f");
    as_user(USER, || assert_eq!(truncate(&path, 0), Err(Errno::EACCES)));
    assert_eq!(truncate(place.dir(), 0), Err(Errno::EISDIR));
    assert_eq!(truncate(&path, -1), Err(Errno::EINVAL));
    assert_eq!(stat(&path).len(), 9);
}
