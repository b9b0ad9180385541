//! Holes: what they read as, what they take, and where they are found.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use crate::cases::place::stat;
use crate::cases::{Place, cases};

cases![
    a_hole_is_zeros_and_takes_no_blocks,
    blocks_are_counted_in_units_of_512_bytes,
    data_and_holes_are_sought,
    a_sparse_copy_is_the_same_and_small,
];

/// Where the data after the hole begins.
const FAR: u64 = 8 << 20;

fn sparse(place: &Place) -> File {
    let opened = OpenOptions::new().read(true).write(true).create_new(true).open(place.path("f"));
    let file = opened.expect("a file can be made");
    file.write_all_at(&[1; 4096], 0).expect("write");
    file.write_all_at(&[2; 4096], FAR).expect("write");
    file.sync_all().expect("fsync");
    file
}

fn a_hole_is_zeros_and_takes_no_blocks(place: &Place) {
    let file = sparse(place);
    assert_eq!(stat(place.path("f")).len(), FAR + 4096);
    assert!(stat(place.path("f")).blocks() < 256, "{}", stat(place.path("f")).blocks());
    let mut bytes = vec![9; 1 << 20];
    file.read_exact_at(&mut bytes, FAR - (1 << 20)).expect("read");
    assert!(bytes.iter().all(|&byte| byte == 0));
    fs::write("/proc/sys/vm/drop_caches", "3").expect("caches can be dropped");
    file.read_exact_at(&mut bytes, 4096).expect("read");
    assert!(bytes.iter().all(|&byte| byte == 0));
}

fn blocks_are_counted_in_units_of_512_bytes(place: &Place) {
    let path = place.file("f", vec![1; 1 << 20]);
    File::open(&path).and_then(|file| file.sync_all()).expect("fsync");
    assert_eq!(stat(&path).blocks(), (1 << 20) / 512);
    assert_eq!(stat(place.file("empty", "")).blocks(), 0);
    assert!(stat(&path).blksize() >= 4096);
}

/// Over NFSv3 there is no way to ask: all of a file is data, and its end is the only hole, as lseek(2) allows.
fn data_and_holes_are_sought(place: &Place) {
    let file = sparse(place);
    let end = FAR as i64 + 4096;
    let seek = |from: i64, whence| lseek(&file, from, whence);
    let expected = if place.is_local() { (4096, FAR as i64) } else { (end, 8192) };
    assert_eq!(seek(0, Whence::SeekData), Ok(0));
    assert_eq!(seek(0, Whence::SeekHole), Ok(expected.0));
    assert_eq!(seek(8192, Whence::SeekData), Ok(expected.1));
    assert_eq!(seek(FAR as i64, Whence::SeekHole), Ok(end));
    assert_eq!(seek(end, Whence::SeekData), Err(Errno::ENXIO));
    assert_eq!(seek(end, Whence::SeekHole), Err(Errno::ENXIO));
}

fn a_sparse_copy_is_the_same_and_small(place: &Place) {
    drop(sparse(place));
    place.shell("cp --sparse=always f g && cmp f g && tar cSf t.tar f && mkdir out && tar xSf t.tar -C out");
    place.shell("cmp f out/f && sync g out/f");
    // Both look for zeros in pieces of st_blksize, on knfsd as much as goes over the wire at once.
    let piece = stat(place.path("f")).blksize() / 512;
    for name in ["g", "out/f"] {
        let blocks = stat(place.path(name)).blocks();
        assert!(blocks <= 2 * piece + 16, "{name}: {blocks} blocks, in pieces of {piece}");
    }
}
