//! mmap(2), shared and written.

use std::fs::{self, OpenOptions};
use std::num::NonZeroUsize;

use crate::cases::{Place, cases};
use crate::sys::Shared;

cases![
    a_shared_mapping_reaches_the_file,
    two_mappings_of_one_file_share_memory,
    a_mapping_shows_what_the_server_has,
    two_processes_share_a_mapping,
    mappings_and_calls_see_each_other,
    what_was_flushed_is_read_by_others,
];

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
    // On the host's side: here the client's own cache would answer.
    let bytes = fs::read(place.behind("f")).expect("read");
    assert_eq!((bytes[0], bytes[1], bytes[65_535]), (b'<', b'.', b'>'));
}

fn two_mappings_of_one_file_share_memory(place: &Place) {
    let path = place.file("f", vec![0; LENGTH.get()]);
    let (mut one, two) = (map(&path), map(&path));
    one.set(5000, 7);
    assert_eq!(two.get(5000), 7);
    drop((one, two));
    // Closing the last mapping alone does not write; fsync does.
    fs::File::open(&path).and_then(|file| file.sync_all()).expect("fsync");
    assert_eq!(fs::read(place.behind("f")).expect("read")[5000], 7);
}

fn a_mapping_shows_what_the_server_has(place: &Place) {
    let path = place.file("f", vec![b'.'; LENGTH.get()]);
    fs::File::open(&path).and_then(|file| file.sync_all()).expect("fsync");
    drop_caches();
    let memory = map(&path);
    assert_eq!((memory.get(0), memory.get(65_535)), (b'.', b'.'));
}

/// Forgets every page that is not in use, so that it has to come from the server again.
fn drop_caches() {
    fs::write("/proc/sys/vm/drop_caches", "3").expect("root can drop caches");
}

fn two_processes_share_a_mapping(place: &Place) {
    let path = place.file("f", vec![0; LENGTH.get()]);
    let mut other = place.other(["answer", "f"]);
    assert_eq!(other.hear(), "mapped");
    let mut memory = map(&path);
    memory.set(0, 42);
    other.end();
    assert_eq!(memory.get(1), 42);
}

fn mappings_and_calls_see_each_other(place: &Place) {
    use std::os::unix::fs::FileExt;
    let path = place.file("f", vec![b'.'; LENGTH.get()]);
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("open");
    let mut memory = map(&path);
    for at in [0, 4095, 4096, 65_535] {
        file.write_all_at(b"w", at as u64).expect("pwrite");
        assert_eq!(memory.get(at), b'w');
        memory.set(at, b'm');
        let mut byte = [0];
        file.read_exact_at(&mut byte, at as u64).expect("pread");
        assert_eq!(&byte, b"m");
    }
}

fn what_was_flushed_is_read_by_others(place: &Place) {
    let path = place.file("f", vec![b'.'; LENGTH.get()]);
    let mut memory = map(&path);
    memory.set(10, b'!');
    memory.flush().expect("msync");
    assert_eq!(place.shell("head -c 12 f"), "..........!.");
    drop_caches();
    assert_eq!(place.shell("head -c 12 f"), "..........!.");
    assert_eq!(memory.get(10), b'!');
}
