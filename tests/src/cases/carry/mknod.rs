//! mknod(2) and bind(2): FIFOs, sockets, no devices.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::thread;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::cases::place::{USER, as_user, errno, stat};
use crate::cases::{Place, cases};

cases![
    a_fifo_carries_bytes,
    a_fifo_without_a_reader_is_told,
    a_fifo_can_be_waited_for,
    a_bound_socket_takes_connections,
    a_removed_socket_can_be_bound_again,
    a_socket_that_nobody_listens_to_is_told,
    a_socket_of_datagrams_carries_them,
    a_socket_that_was_renamed_is_the_same,
    who_may_not_write_to_a_socket_may_not_connect,
];

fn a_fifo_carries_bytes(place: &Place) {
    let path = place.path("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("mkfifo");
    assert!(stat(&path).file_type().is_fifo());
    thread::scope(|scope| {
        scope.spawn(|| {
            File::options()
                .write(true)
                .open(&path)
                .and_then(|mut fifo| fifo.write_all(b"through"))
                .expect("write");
        });
        let mut text = String::new();
        File::open(&path).and_then(|mut fifo| fifo.read_to_string(&mut text)).expect("read");
        assert_eq!(text, "through");
    });
}

fn a_bound_socket_takes_connections(place: &Place) {
    let path = place.path("socket");
    let listener = UnixListener::bind(&path).expect("bind");
    assert!(stat(&path).file_type().is_socket());
    thread::scope(|scope| {
        scope.spawn(|| {
            let (mut peer, _) = listener.accept().expect("accept");
            peer.write_all(b"hello").expect("write");
        });
        let mut text = String::new();
        UnixStream::connect(&path).expect("connect").read_to_string(&mut text).expect("read");
        assert_eq!(text, "hello");
    });
}

fn a_removed_socket_can_be_bound_again(place: &Place) {
    let path = place.path("socket");
    drop(UnixListener::bind(&path).expect("bind"));
    fs::remove_file(&path).expect("unlink");
    UnixListener::bind(&path).expect("bind again");
}

fn a_fifo_without_a_reader_is_told(place: &Place) {
    let path = place.path("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("mkfifo");
    let write = || File::options().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    assert_eq!(errno(write()), Errno::ENXIO);
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("open");
    let mut writer = write().expect("there is a reader");
    drop(reader);
    assert_eq!(errno(writer.write_all(b"x")), Errno::EPIPE);
}

fn a_fifo_can_be_waited_for(place: &Place) {
    let path = place.path("fifo");
    mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).expect("mkfifo");
    let mut reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path).expect("open");
    let mut writer = File::options().write(true).open(&path).expect("open");
    let ready = |limit: PollTimeout| {
        let mut wanted = [PollFd::new(reader.as_fd(), PollFlags::POLLIN)];
        poll(&mut wanted, limit).expect("poll")
    };
    assert_eq!(ready(PollTimeout::ZERO), 0);
    writer.write_all(b"x").expect("write");
    assert_eq!(ready(PollTimeout::NONE), 1);
    assert_eq!(reader.read(&mut [0; 10]).expect("read"), 1);
    drop(writer);
    assert_eq!(reader.read(&mut [0; 10]).expect("read at the end"), 0);
}

fn a_socket_that_nobody_listens_to_is_told(place: &Place) {
    let path = place.path("socket");
    drop(UnixListener::bind(&path).expect("bind"));
    assert_eq!(errno(UnixStream::connect(&path)), Errno::ECONNREFUSED);
    assert_eq!(errno(UnixListener::bind(&path)), Errno::EADDRINUSE);
    assert_eq!(errno(File::open(&path)), Errno::ENXIO);
    assert_eq!(errno(UnixStream::connect(place.file("f", ""))), Errno::ECONNREFUSED);
}

fn a_socket_of_datagrams_carries_them(place: &Place) {
    let path = place.path("socket");
    let receiver = UnixDatagram::bind(&path).expect("bind");
    UnixDatagram::unbound().and_then(|sender| sender.send_to(b"a word", &path)).expect("send");
    let mut bytes = [0; 20];
    let count = receiver.recv(&mut bytes).expect("receive");
    assert_eq!(&bytes[..count], b"a word");
}

fn a_socket_that_was_renamed_is_the_same(place: &Place) {
    let listener = UnixListener::bind(place.path("socket")).expect("bind");
    fs::rename(place.path("socket"), place.path("other")).expect("rename");
    fs::hard_link(place.path("other"), place.path("third")).expect("link");
    fs::write("/proc/sys/vm/drop_caches", "2").expect("caches can be dropped");
    for name in ["other", "third"] {
        let connected = UnixStream::connect(place.path(name)).expect("connect");
        listener.accept().expect("accept");
        drop(connected);
    }
}

fn who_may_not_write_to_a_socket_may_not_connect(place: &Place) {
    let path = place.path("socket");
    let _listener = UnixListener::bind(&path).expect("bind");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    as_user(USER, || assert_eq!(errno(UnixStream::connect(&path)), Errno::EACCES));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("chmod");
    as_user(USER, || UnixStream::connect(&path).map(drop).expect("connect"));
}
