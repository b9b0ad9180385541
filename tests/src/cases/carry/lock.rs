//! flock(2) and fcntl(2) locks: local ones, as the mount has one client.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};

use crate::cases::{Place, cases};

cases![
    a_second_flock_waits_for_the_first,
    fcntl_locks_of_two_descriptors_exclude_each_other,
    posix_locks_belong_to_a_process,
    locks_are_seen_by_another_process,
];

fn open(place: &Place) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(place.path("f"))
        .expect("a file can be opened")
}

fn a_second_flock_waits_for_the_first(place: &Place) {
    let first = Flock::lock(open(place), FlockArg::LockExclusive).map_err(|(_, error)| error).expect("flock");
    let (second, refused) = Flock::lock(open(place), FlockArg::LockSharedNonblock).expect_err("it is taken");
    assert_eq!(refused, Errno::EWOULDBLOCK);
    drop(first);
    Flock::lock(second, FlockArg::LockSharedNonblock).map_err(|(_, error)| error).expect("it is free again");
}

/// Classic locks: another process meets them, one's own never do, and closing any descriptor of the file drops them.
fn posix_locks_belong_to_a_process(place: &Place) {
    let lock = |file: &File, kind: i32| {
        let range = nix::libc::flock {
            l_type: kind as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: 100,
            l_len: 50,
            l_pid: 0,
        };
        fcntl(file.as_fd(), FcntlArg::F_SETLK(&range))
    };
    // Perl's fcntl takes the structure as bytes: kind, whence, padding, start, length, process.
    let script = format!(
        "open(F, '+<', 'f') or die; $lock = pack('ssx4qqlx4', {}, 0, $ARGV[0], 10, 0);
         print fcntl(F, {}, $lock) ? 0 : $!+0",
        nix::libc::F_WRLCK,
        nix::libc::F_SETLK
    );
    place.file("lock.pl", script);
    let refused = |start: u32| {
        let number = place.shell(&format!("perl lock.pl {start}"));
        Errno::from_raw(number.parse().expect("perl prints a number"))
    };
    let (one, two) = (open(place), open(place));
    lock(&one, nix::libc::F_WRLCK).expect("a range can be locked");
    lock(&two, nix::libc::F_WRLCK).expect("it is this process's own");
    assert_eq!(refused(140), Errno::EAGAIN);
    assert_eq!(refused(150), Errno::UnknownErrno);
    lock(&one, nix::libc::F_RDLCK).expect("it can be made a shared one");
    assert_eq!(refused(100), Errno::EAGAIN);
    lock(&one, nix::libc::F_UNLCK).expect("it can be given back");
    assert_eq!(refused(100), Errno::UnknownErrno);
    lock(&one, nix::libc::F_WRLCK).expect("it can be taken again");
    drop(two);
    assert_eq!(refused(100), Errno::UnknownErrno);
}

fn fcntl_locks_of_two_descriptors_exclude_each_other(place: &Place) {
    let lock = |file: &File, start: i64| {
        let range = nix::libc::flock {
            l_type: nix::libc::F_WRLCK as i16,
            l_whence: nix::libc::SEEK_SET as i16,
            l_start: start,
            l_len: 10,
            l_pid: 0,
        };
        fcntl(file.as_fd(), FcntlArg::F_OFD_SETLK(&range))
    };
    let (one, two) = (open(place), open(place));
    lock(&one, 0).expect("a range can be locked");
    assert_eq!(lock(&two, 5), Err(Errno::EAGAIN));
    lock(&two, 10).expect("the next range can be locked");
    drop(one);
    lock(&two, 0).expect("a closed descriptor's lock is gone");
}

fn locks_are_seen_by_another_process(place: &Place) {
    let held = Flock::lock(open(place), FlockArg::LockExclusive).map_err(|(_, error)| error).expect("flock");
    assert_eq!(place.try_shell("flock -n f true").status.code(), Some(1));
    drop(held);
    place.shell("flock -n f true");
}
