//! Connections that come in masses, break off, or stay too long.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use crate::client::Client;
use crate::world::World;

/// Connections at a time that a server takes.
const LIMIT: usize = 32;

/// Connects, and breaks off at once without a word.
fn reset(address: SocketAddr, first: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(first);
    let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream.as_fd(), sockopt::Linger, &linger).unwrap();
}

/// Waits until a new connection is answered: places are given up when a connection's thread ends.
fn wait_for_a_place(world: &World) -> Client {
    let start = Instant::now();
    loop {
        let mut client = world.root();
        let record = client.next_call(100_003, 3, 0, &nfs3_types::xdr_codec::Void);
        if client.send(&record).is_ok() && client.receive().is_ok() {
            return client;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no place in ten seconds");
        std::thread::yield_now();
    }
}

#[test]
fn thousands_of_connections_that_are_reset_leave_the_server_serving() {
    let world = World::new();
    let root = world.mount();
    for _ in 0..30 {
        // As many as wait to be accepted: the kernel would make one more wait for a second.
        for index in 0..100 {
            reset(world.server.addr(), &[0xff; 64][..index % 64]);
        }
        wait_for_a_place(&world).getattr(&root).unwrap();
    }
}

#[test]
fn one_connection_too_many_is_closed_and_the_others_go_on() {
    let world = World::new();
    let mut clients: Vec<Client> = (0..LIMIT).map(|_| world.root()).collect();
    for client in &mut clients {
        client.null();
    }
    assert!(world.root().is_ended());
    for client in &mut clients {
        client.null();
    }
    drop(clients.pop());
    wait_for_a_place(&world).null();
}

#[test]
fn a_connection_that_says_nothing_keeps_nobody_waiting() {
    let world = World::new();
    let _silent = world.root();
    let mut slow = world.root();
    slow.stream.write_all(&[0x80, 0, 0]).unwrap();
    world.root().null();
}

#[test]
fn a_connection_that_breaks_in_the_middle_of_a_call_has_not_called() {
    let world = World::new();
    let build = world.at("build");
    let arguments = nfs3_types::nfs3::MKDIR3args {
        where_: crate::calls::at(&build, b"dir"),
        attributes: crate::calls::mode(0o777),
    };
    let record = world.root().next_call(100_003, 3, 9, &arguments);
    let whole = crate::client::fragment(&record, true);
    for length in (0..whole.len()).step_by(7) {
        reset(world.server.addr(), &whole[..length]);
    }
    wait_for_a_place(&world).null();
    assert!(!world.host("build/dir").exists());
}

#[test]
fn calls_over_several_connections_at_once_are_all_carried_out() {
    let world = World::new();
    let build = world.at("build");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (world, build) = (&world, &build);
            scope.spawn(move || {
                let mut client = world.builder();
                for index in 0..50 {
                    let name = format!("{thread}-{index}");
                    client.create(build, name.as_bytes(), crate::world::guarded(0o600)).unwrap();
                    client.rename((build, name.as_bytes()), (build, b"same")).unwrap();
                    client.create(build, name.as_bytes(), crate::world::guarded(0o600)).unwrap();
                }
            });
        }
    });
    let listed = world.root().readdir(&build, 0, 1 << 20).unwrap().reply.entries.0.len();
    assert_eq!(listed, 2 + 8 * 50 + 1);
}
