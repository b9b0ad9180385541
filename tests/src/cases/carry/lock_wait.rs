//! fcntl(2) locks that are waited for, between processes.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::cases::other::{lock, range};
use crate::cases::place::Other;
use crate::cases::{Place, cases};

cases![
    a_lock_is_given_to_who_waits_for_it,
    a_lock_ends_with_its_process,
    the_holder_of_a_lock_is_told,
    two_that_wait_for_each_other_are_told,
    a_lock_needs_a_descriptor_that_may_do_as_much,
];

fn open(place: &Place) -> File {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(place.path("f"));
    opened.expect("a file can be opened")
}

fn release(file: &File, at: i64) {
    fcntl(file.as_fd(), FcntlArg::F_SETLK(&range(libc::F_UNLCK, at))).expect("a lock can be given back");
}

fn until_it_sleeps(other: &Other) {
    while !other.sleeps() {
        thread::sleep(Duration::from_millis(1));
    }
}

fn a_lock_is_given_to_who_waits_for_it(place: &Place) {
    let file = open(place);
    lock(&file, 5).expect("lock");
    let mut free = place.other(["lock", "f", "6"]);
    assert_eq!(free.hear(), "locked");
    let mut waiting = place.other(["lock", "f", "5"]);
    until_it_sleeps(&waiting);
    release(&file, 5);
    assert_eq!(waiting.hear(), "locked");
    assert_eq!(
        fcntl(file.as_fd(), FcntlArg::F_SETLK(&range(libc::F_WRLCK, 5))).map(drop),
        Err(Errno::EAGAIN)
    );
    waiting.end();
    lock(&file, 5).expect("it is free again");
}

fn a_lock_ends_with_its_process(place: &Place) {
    let file = open(place);
    let mut other = place.other(["lock", "f", "5"]);
    assert_eq!(other.hear(), "locked");
    // Killed.
    drop(other);
    fcntl(file.as_fd(), FcntlArg::F_SETLK(&range(libc::F_WRLCK, 5))).expect("it is free");
}

fn the_holder_of_a_lock_is_told(place: &Place) {
    let file = open(place);
    let mut other = place.other(["lock", "f", "5"]);
    assert_eq!(other.hear(), "locked");
    let mut asked = range(libc::F_RDLCK, 5);
    fcntl(file.as_fd(), FcntlArg::F_GETLK(&mut asked)).expect("F_GETLK");
    assert_eq!((i32::from(asked.l_type), asked.l_pid), (libc::F_WRLCK, other.id()));
    other.end();
    let mut asked = range(libc::F_RDLCK, 5);
    fcntl(file.as_fd(), FcntlArg::F_GETLK(&mut asked)).expect("F_GETLK");
    assert_eq!(i32::from(asked.l_type), libc::F_UNLCK);
}

fn two_that_wait_for_each_other_are_told(place: &Place) {
    let file = open(place);
    lock(&file, 1).expect("lock");
    let mut other = place.other(["lock-both", "f", "2", "1"]);
    assert_eq!(other.hear(), "locked");
    until_it_sleeps(&other);
    assert_eq!(lock(&file, 2), Err(Errno::EDEADLK));
    release(&file, 1);
    assert_eq!(other.hear(), "both");
    other.end();
}

fn a_lock_needs_a_descriptor_that_may_do_as_much(place: &Place) {
    drop(open(place));
    let reader = File::open(place.path("f")).expect("open");
    let set = |kind| fcntl(reader.as_fd(), FcntlArg::F_SETLK(&range(kind, 0))).map(drop);
    assert_eq!(set(libc::F_WRLCK), Err(Errno::EBADF));
    assert_eq!(set(libc::F_RDLCK), Ok(()));
}
