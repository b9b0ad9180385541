//! mmap(2), shared and written.

use std::fs::{self, OpenOptions};
use std::num::NonZeroUsize;

use crate::cases::{Place, cases};
use crate::sys::Shared;

cases![a_shared_mapping_reaches_the_file, two_mappings_of_one_file_share_memory];

const LENGTH: NonZeroUsize = NonZeroUsize::new(64 * 1024).expect("not zero");

fn map(path: &std::path::Path) -> Shared {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("a file can be opened");
    Shared::map(&file, LENGTH).expect("a file can be mapped")
}

fn a_shared_mapping_reaches_the_file(place: &Place) {
    let path = place.file("f", vec![b'.'; LENGTH.get()]);
    let mut memory = map(&path);
    assert_eq!(memory.get(40_000), b'.');
    memory.set(0, b'<');
    memory.set(65_535, b'>');
    memory.flush().expect("msync");
    drop(memory);
    let bytes = fs::read(&path).expect("read");
    assert_eq!((bytes[0], bytes[1], bytes[65_535]), (b'<', b'.', b'>'));
}

fn two_mappings_of_one_file_share_memory(place: &Place) {
    let path = place.file("f", vec![0; LENGTH.get()]);
    let (mut one, two) = (map(&path), map(&path));
    one.set(5000, 7);
    assert_eq!(two.get(5000), 7);
}
