//! open(2): its flags, and descriptors of directories that move or go.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, mkdirat};

use crate::cases::place::{errno, stat};
use crate::cases::{Place, cases};

cases![
    appending_ignores_the_offset,
    a_directory_is_opened_as_one_only,
    a_directorys_descriptor_follows_it,
    nothing_is_made_in_a_removed_directory,
    a_removed_working_directory_is_told,
    synchronous_writes_are_behind_the_server_at_once,
    data_passes_around_the_cache,
    a_descriptor_is_opened_again_by_its_number,
    a_lasting_descriptor_sees_what_others_wrote,
];

fn appending_ignores_the_offset(place: &Place) {
    let path = place.file("f", "abc");
    let file = OpenOptions::new().append(true).read(true).open(&path).expect("open");
    // POSIX has it otherwise; see pwrite(2), BUGS.
    file.write_all_at(b"def", 0).expect("pwrite");
    assert_eq!(fs::read(&path).expect("read"), b"abcdef");
    let mut start = [0; 2];
    file.read_exact_at(&mut start, 0).expect("pread");
    assert_eq!(&start, b"ab");
}

fn a_directory_is_opened_as_one_only(place: &Place) {
    let (file, directory) = (place.file("f", ""), place.directory("d"));
    let only = |path| OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path);
    assert_eq!(errno(only(&file)), Errno::ENOTDIR);
    assert!(only(&directory).is_ok());
    for flags in [0, libc::O_TRUNC, libc::O_APPEND] {
        assert_eq!(errno(OpenOptions::new().write(true).custom_flags(flags).open(&directory)), Errno::EISDIR);
    }
    assert_eq!(errno(File::open(&directory).and_then(|mut file| file.read(&mut [0; 1]))), Errno::EISDIR);
    assert_eq!(errno(File::create_new(&directory)), Errno::EEXIST);
}

fn a_directorys_descriptor_follows_it(place: &Place) {
    place.directory("a/b");
    place.directory("c");
    let held = File::open(place.path("a/b")).expect("open");
    fs::rename(place.path("a/b"), place.path("c/moved")).expect("rename");
    fs::rename(place.path("c"), place.path("d")).expect("rename");
    let made = openat(&held, "f", OFlag::O_CREAT | OFlag::O_WRONLY, Mode::S_IRUSR).expect("openat");
    drop(made);
    mkdirat(&held, "sub", Mode::S_IRWXU).expect("mkdirat");
    assert_eq!(place.names("d/moved"), ["f", "sub"]);
    let above = openat(&held, "..", OFlag::O_DIRECTORY, Mode::empty()).expect("openat");
    let name = fs::read_link(format!("/proc/self/fd/{}", above.as_raw_fd())).expect("readlink");
    assert_eq!(name, place.path("d"));
}

fn nothing_is_made_in_a_removed_directory(place: &Place) {
    let path = place.directory("d");
    let held = File::open(&path).expect("open");
    fs::remove_dir(&path).expect("rmdir");
    let flags = OFlag::O_CREAT | OFlag::O_WRONLY;
    assert_eq!(openat(&held, "f", flags, Mode::S_IRUSR).map(drop), Err(Errno::ENOENT));
    assert_eq!(mkdirat(&held, "sub", Mode::S_IRWXU), Err(Errno::ENOENT));
    assert_eq!(openat(&held, "f", OFlag::O_RDONLY, Mode::empty()).map(drop), Err(Errno::ENOENT));
    // One of the same name is another.
    fs::create_dir(&path).expect("mkdir");
    assert_eq!(mkdirat(&held, "sub", Mode::S_IRWXU), Err(Errno::ENOENT));
    assert!(place.names("d").is_empty());
}

fn a_removed_working_directory_is_told(place: &Place) {
    let script = "mkdir d; cd d; rmdir ../d; ! touch f 2>/dev/null; ! mkdir e 2>/dev/null
                  ! /bin/pwd 2>/dev/null; cd ..; test ! -e d";
    place.shell(script);
}

fn synchronous_writes_are_behind_the_server_at_once(place: &Place) {
    for (name, flags) in [("sync", libc::O_SYNC), ("dsync", libc::O_DSYNC), ("fdatasync", 0), ("fsync", 0)] {
        let opened =
            OpenOptions::new().write(true).create_new(true).custom_flags(flags).open(place.path(name));
        let mut file = opened.expect("open");
        file.write_all(name.as_bytes()).expect("write");
        match name {
            "fdatasync" => file.sync_data().expect("fdatasync"),
            "fsync" => file.sync_all().expect("fsync"),
            _ => {}
        }
        assert_eq!(fs::read(place.behind(name)).expect("read"), name.as_bytes());
    }
}

fn data_passes_around_the_cache(place: &Place) {
    let path = place.path("f");
    let opened =
        OpenOptions::new().read(true).write(true).create_new(true).custom_flags(libc::O_DIRECT).open(&path);
    let file = opened.expect("O_DIRECT");
    // Direct transfers need memory that is aligned, as much as the device's blocks.
    let mut memory = vec![0_u8; 3 * 4096];
    let start = memory.as_ptr().align_offset(4096);
    let page = &mut memory[start..start + 4096];
    page.fill(b'd');
    file.write_all_at(page, 4096).expect("pwrite");
    assert_eq!(fs::read(place.behind("f")).expect("read")[4096..], *page);
    fs::write(place.path("g"), "through the cache").expect("write");
    page.fill(0);
    file.read_exact_at(page, 4096).expect("pread");
    assert!(page.iter().all(|&byte| byte == b'd'));
    assert_eq!(stat(&path).len(), 8192);
}

fn a_descriptor_is_opened_again_by_its_number(place: &Place) {
    let path = place.file("f", "first");
    let held = OpenOptions::new().read(true).open(&path).expect("open");
    let number = format!("/proc/self/fd/{}", held.as_raw_fd());
    fs::rename(&path, place.path("g")).expect("rename");
    fs::write(&number, "again").expect("it can be opened for writing");
    assert_eq!(fs::read(place.path("g")).expect("read"), b"again");
    fs::remove_file(place.path("g")).expect("unlink");
    assert_eq!(fs::read(&number).expect("also without a name"), b"again");
}

fn a_lasting_descriptor_sees_what_others_wrote(place: &Place) {
    let path = place.file("f", "one");
    let mut held = File::open(&path).expect("open");
    place.shell("printf two >> f");
    let mut text = String::new();
    held.read_to_string(&mut text).expect("read");
    assert_eq!(text, "onetwo");
    assert_eq!(held.metadata().expect("fstat").len(), 6);
}
