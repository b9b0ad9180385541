//! The end of a server, whatever its clients are doing.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nfs3_types::nfs3::{PROGRAM, READ3args, VERSION};

use crate::client::{Client, fragment};
use crate::world::World;

/// A server has to end within this time.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn it_stops_while_calls_run_and_gives_their_count() {
    let world = World::new();
    let build = world.at("build");
    let (address, host) = (world.server.addr(), world.host(""));
    let (mut clients, before) = ((0..4).map(|_| world.builder()).collect::<Vec<_>>(), world.server.calls());
    std::thread::scope(|scope| {
        for (index, client) in clients.iter_mut().enumerate() {
            let build = &build;
            scope.spawn(move || {
                let name = [b'a' + index as u8];
                let arguments = || nfs3_types::nfs3::CREATE3args {
                    where_: crate::calls::at(build, &name),
                    how: crate::world::unchecked(crate::calls::mode(0o600)),
                };
                // Until the server hangs up.
                loop {
                    let record = client.next_call(PROGRAM, VERSION, 8, &arguments());
                    if client.send(&record).is_err() || client.receive().is_err() {
                        break;
                    }
                }
            });
        }
        while world.server.calls().total() < before.total() + 200 {
            std::thread::yield_now();
        }
        let start = Instant::now();
        let calls = world.server.stop();
        assert!(start.elapsed() < SOON);
        assert!(calls.total() >= before.total() + 200);
    });
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open.filter_map(|descriptor| std::fs::read_link(descriptor.path()).ok());
    let left: Vec<_> = open.filter(|path| path.starts_with(&host)).collect();
    assert!(left.is_empty(), "{left:?} are open: a build's outputs are taken as soon as it has stopped");
}

#[test]
fn it_stops_with_a_peer_that_never_takes_its_replies() {
    let world = World::new();
    std::fs::write(world.host("package/large"), vec![1; 1 << 20]).unwrap();
    let file = world.at("package/large");
    let mut client = world.root();
    client.stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    loop {
        let arguments = READ3args { file: file.clone(), offset: 0, count: 1 << 20 };
        let record = client.next_call(PROGRAM, VERSION, 6, &arguments);
        // Until the server reads no more, since it cannot send.
        if client.stream.write_all(&fragment(&record, true)).is_err() {
            break;
        }
    }
    let start = Instant::now();
    world.server.stop();
    assert!(start.elapsed() < SOON);
}

#[test]
fn it_stops_with_peers_that_say_nothing() {
    let world = World::new();
    let mut silent: Vec<_> = (0..10).map(|_| world.root()).collect();
    for client in &mut silent {
        client.null();
    }
    let start = Instant::now();
    world.server.stop();
    assert!(start.elapsed() < SOON);
    assert!(silent.iter_mut().all(Client::is_ended));
}

#[test]
fn dropping_it_stops_it_too() {
    let world = World::new();
    let mut client = world.root();
    client.null();
    drop(world);
    assert!(client.is_ended());
}
