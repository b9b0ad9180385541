//! read(2), write(2), lseek(2), ftruncate(2), fsync(2), at small and at large offsets.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt};

use crate::cases::place::stat;
use crate::cases::{Place, cases};

cases![
    what_was_written_is_read,
    a_sparse_file_of_five_gigabytes_takes_no_space,
    a_write_past_the_end_leaves_zeros_between,
    appending_from_two_descriptors_loses_nothing,
    truncating_shortens_and_lengthens,
    a_file_can_be_flushed,
    a_large_file_keeps_every_byte,
];

fn open(path: &std::path::Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .expect("a file can be opened")
}

fn what_was_written_is_read(place: &Place) {
    let mut file = open(&place.path("f"));
    file.write_all(b"hello world").expect("write");
    file.seek(SeekFrom::Start(6)).expect("seek");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "world");
    assert_eq!(file.read(&mut [0; 10]).expect("read at the end"), 0);
}

fn a_sparse_file_of_five_gigabytes_takes_no_space(place: &Place) {
    const END: u64 = 5 << 30;
    let path = place.path("sparse");
    let file = open(&path);
    file.set_len(END).expect("a file can be lengthened past 4 GiB");
    file.write_all_at(b"here", (4 << 30) + 17).expect("write past 4 GiB");
    file.sync_all().expect("flush");
    drop(file);
    let file = open(&path);
    let mut bytes = [0; 6];
    file.read_exact_at(&mut bytes, (4 << 30) + 16).expect("read past 4 GiB");
    assert_eq!(&bytes, b"\0here\0");
    assert_eq!(stat(&path).len(), END);
    assert!(stat(&path).blocks() < 1024, "{} blocks", stat(&path).blocks());
}

fn a_write_past_the_end_leaves_zeros_between(place: &Place) {
    let file = open(&place.path("f"));
    file.write_all_at(b"a", 0).expect("write");
    file.write_all_at(b"b", 10_000).expect("write");
    drop(file);
    let all = fs::read(place.path("f")).expect("read");
    assert_eq!((all.len(), all[0], all[10_000]), (10_001, b'a', b'b'));
    assert!(all[1..10_000].iter().all(|&byte| byte == 0));
}

fn appending_from_two_descriptors_loses_nothing(place: &Place) {
    let path = place.path("log");
    let append = || OpenOptions::new().append(true).create(true).open(&path).expect("open to append");
    let (mut one, mut two) = (append(), append());
    for _ in 0..100 {
        one.write_all(b"one\n").expect("append");
        two.write_all(b"two\n").expect("append");
    }
    drop((one, two));
    let text = fs::read_to_string(&path).expect("read");
    assert_eq!((text.matches("one\n").count(), text.matches("two\n").count(), text.len()), (100, 100, 800));
}

fn truncating_shortens_and_lengthens(place: &Place) {
    let path = place.file("f", "abcdef");
    let file = open(&path);
    file.set_len(3).expect("shorten");
    file.set_len(5).expect("lengthen");
    drop(file);
    assert_eq!(fs::read(&path).expect("read"), b"abc\0\0");
}

fn a_file_can_be_flushed(place: &Place) {
    let mut file = open(&place.path("f"));
    file.write_all(b"x").expect("write");
    file.sync_data().expect("fdatasync");
    file.sync_all().expect("fsync");
    File::open(place.dir()).and_then(|directory| directory.sync_all()).expect("fsync of a directory");
}

fn a_large_file_keeps_every_byte(place: &Place) {
    let mut bytes: Vec<u8> = Vec::with_capacity(32 << 20);
    let mut state = 12_345_u32;
    while bytes.len() < 32 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    let path = place.file("large", &bytes);
    // So that the bytes come from the server and not from memory.
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
    assert!(fs::read(&path).expect("read") == bytes, "the file differs");
}
