//! mknod(2) and bind(2): FIFOs, sockets, no devices.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::cases::place::stat;
use crate::cases::{Place, cases};

cases![a_fifo_carries_bytes, a_bound_socket_takes_connections, a_removed_socket_can_be_bound_again];

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
