//! What NFSv3 has no words for: local file systems do it, and over NFS the error is the one that programs look for.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, FallocateFlags, OFlag, RenameFlags, fallocate, open, posix_fallocate, renameat2};
use nix::sys::stat::Mode;

use crate::cases::place::stat;
use crate::cases::{Place, cases};

cases![
    a_rename_that_must_not_replace,
    two_names_that_are_exchanged,
    space_that_is_set_aside,
    space_that_is_set_aside_by_the_c_library,
    a_hole_that_is_punched,
    a_file_without_a_name,
    extended_attributes,
    flags_of_inodes,
];

/// What is expected on a local file system, and over NFS.
fn unless_local(place: &Place, errno: Errno) -> nix::Result<()> {
    if place.is_local() { Ok(()) } else { Err(errno) }
}

fn a_rename_that_must_not_replace(place: &Place) {
    let (one, two) = (place.file("one", "1"), place.file("two", "2"));
    let rename = |to| renameat2(AT_FDCWD, &one, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE);
    assert_eq!(rename(&two), Err(Errno::EEXIST));
    assert_eq!(rename(&place.path("three")), unless_local(place, Errno::EINVAL));
    assert_eq!(fs::read(two).expect("read"), b"2");
    // Programs fall back to a link, which does not replace either.
    place.shell("echo 4 > four && mv -n four two && test -e four && mv -n four five && test ! -e four");
}

fn two_names_that_are_exchanged(place: &Place) {
    let (one, two) = (place.file("one", "1"), place.file("two", "2"));
    let exchanged = renameat2(AT_FDCWD, &one, AT_FDCWD, &two, RenameFlags::RENAME_EXCHANGE);
    assert_eq!(exchanged, unless_local(place, Errno::EINVAL));
    let expected: &[u8] = if place.is_local() { b"2" } else { b"1" };
    assert_eq!(fs::read(one).expect("read"), expected);
}

fn new(place: &Place, name: &str) -> File {
    let opened = OpenOptions::new().read(true).write(true).create_new(true).open(place.path(name));
    opened.expect("a file can be made")
}

fn space_that_is_set_aside(place: &Place) {
    let file = new(place, "f");
    let done = fallocate(file.as_fd(), FallocateFlags::empty(), 0, 100_000);
    assert_eq!(done, unless_local(place, Errno::EOPNOTSUPP));
    let kept = fallocate(file.as_fd(), FallocateFlags::FALLOC_FL_KEEP_SIZE, 0, 200_000);
    assert_eq!(kept, unless_local(place, Errno::EOPNOTSUPP));
    assert_eq!(stat(place.path("f")).len(), if place.is_local() { 100_000 } else { 0 });
}

/// It writes a byte to each block where the kernel cannot.
fn space_that_is_set_aside_by_the_c_library(place: &Place) {
    let file = new(place, "f");
    posix_fallocate(file.as_fd(), 0, 100_000).expect("posix_fallocate");
    assert_eq!(stat(place.path("f")).len(), 100_000);
}

fn a_hole_that_is_punched(place: &Place) {
    place.file("f", vec![1; 100_000]);
    let file = OpenOptions::new().write(true).open(place.path("f")).expect("open");
    let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    assert_eq!(fallocate(file.as_fd(), flags, 0, 4096), unless_local(place, Errno::EOPNOTSUPP));
    assert_eq!(fs::read(place.path("f")).expect("read")[0], u8::from(!place.is_local()));
}

fn a_file_without_a_name(place: &Place) {
    let made = open(place.dir(), OFlag::O_TMPFILE | OFlag::O_RDWR, Mode::S_IRUSR).map(drop);
    assert_eq!(made, unless_local(place, Errno::EOPNOTSUPP));
    assert!(place.names("").is_empty());
}

fn extended_attributes(place: &Place) {
    place.file("f", "");
    let script = "python3 -c 'import os\ntry:\n os.setxattr(\"f\", \"user.name\", b\"x\"); print(0)
except OSError as error: print(error.errno)'";
    let number: i32 = place.shell(script).parse().expect("a number");
    let expected = if place.is_local() { 0 } else { Errno::EOPNOTSUPP as i32 };
    assert_eq!(number, expected);
    // Copying programs leave them out and say nothing.
    assert_eq!(
        place.shell("cp -a f g 2>&1 && tar cf t.tar --xattrs f 2>&1 && tar xf t.tar --xattrs 2>&1"),
        ""
    );
}

fn flags_of_inodes(place: &Place) {
    place.file("f", "");
    let told = place.try_shell("chattr +d f");
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert_eq!(
        (told.status.success(), said.contains("not supported")),
        (place.is_local(), !place.is_local()),
        "{said}"
    );
}
