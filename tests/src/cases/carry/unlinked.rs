//! What is open and has no name any more.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};

use nix::errno::Errno;

use crate::cases::place::errno;
use crate::cases::{Place, cases};
use crate::sys::Shared;

cases![
    an_unlinked_file_can_be_changed_in_every_way,
    an_unlinked_file_is_shared_with_a_child,
    a_mapping_outlives_the_name,
    a_name_is_used_again_while_its_old_file_is_open,
    a_removed_working_directory_has_nothing_to_list,
    many_unlinked_files_are_apart,
    a_file_whose_directory_goes_stays_readable,
];

fn open(path: &std::path::Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).expect("open")
}

fn an_unlinked_file_can_be_changed_in_every_way(place: &Place) {
    let path = place.file("f", "0123456789");
    let file = open(&path);
    fs::remove_file(&path).expect("unlink");
    file.set_len(5).expect("ftruncate");
    file.set_permissions(Permissions::from_mode(0o600)).expect("fchmod");
    nix::unistd::fchown(&file, Some(5.into()), None).expect("fchown");
    file.write_all_at(b"abc", 5).expect("write");
    file.sync_all().expect("fsync");
    let stat = file.metadata().expect("fstat");
    assert_eq!((stat.len(), stat.mode() & 0o7777, stat.uid()), (8, 0o600, 5));
    let mut all = [0; 8];
    file.read_exact_at(&mut all, 0).expect("read");
    assert_eq!(&all, b"01234abc");
    assert_eq!(errno(fs::metadata(&path)), Errno::ENOENT);
}

fn an_unlinked_file_is_shared_with_a_child(place: &Place) {
    let text =
        place.shell("exec 3<> f; rm f; sh -c 'echo from a child >&3'; exec 4< /proc/self/fd/3; cat <&4");
    assert_eq!(text, "from a child");
}

fn a_mapping_outlives_the_name(place: &Place) {
    const LENGTH: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
    let path = place.file("f", vec![7; LENGTH.get()]);
    let mut memory = Shared::map(&open(&path), LENGTH).expect("mmap");
    fs::remove_file(&path).expect("unlink");
    memory.set(0, 8);
    memory.flush().expect("msync");
    fs::write("/proc/sys/vm/drop_caches", "1").expect("caches can be dropped");
    assert_eq!((memory.get(0), memory.get(99_999)), (8, 7));
}

fn a_name_is_used_again_while_its_old_file_is_open(place: &Place) {
    let path = place.path("f");
    let mut files = Vec::new();
    for round in 0..20_u8 {
        let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).expect("open");
        file.write_all(&[round; 10]).expect("write");
        fs::remove_file(&path).expect("unlink");
        files.push(file);
    }
    let numbers: std::collections::BTreeSet<u64> =
        files.iter().map(|file| file.metadata().expect("fstat").ino()).collect();
    assert_eq!(numbers.len(), files.len());
    for (round, file) in (0..).zip(files) {
        let mut bytes = [99; 10];
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!(bytes, [round; 10]);
    }
}

fn a_removed_working_directory_has_nothing_to_list(place: &Place) {
    let told = place.shell("mkdir d; cd d; rmdir ../d; ls -A 2>&1 || true");
    if place.is_local() {
        assert_eq!(told, "");
    } else {
        assert!(told.ends_with("Stale file handle"), "{told}");
    }
    let path = place.directory("e");
    let held = File::open(&path).expect("open");
    fs::remove_dir(&path).expect("rmdir");
    assert!(held.metadata().expect("fstat").is_dir());
}

fn many_unlinked_files_are_apart(place: &Place) {
    const FILES: u32 = 500;
    let mut files: Vec<File> = (0..FILES).map(|number| open(&place.path(number.to_string()))).collect();
    place.shell("rm -f [0-9]*");
    for (number, file) in (0..).zip(&mut files) {
        writeln!(file, "{number}").expect("write");
    }
    for (number, file) in (0..FILES).zip(&files) {
        let mut text = vec![0; number.to_string().len()];
        file.read_exact_at(&mut text, 0).expect("read");
        assert_eq!(String::from_utf8_lossy(&text), number.to_string());
    }
}

fn a_file_whose_directory_goes_stays_readable(place: &Place) {
    place.directory("a/b/c");
    let mut file = File::open(place.file("a/b/c/f", "deep")).expect("open");
    fs::rename(place.path("a/b"), place.path("moved")).expect("rename");
    fs::remove_dir_all(place.path("moved")).expect("rm -r");
    fs::remove_dir(place.path("a")).expect("rmdir");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("read");
    assert_eq!(text, "deep");
}
