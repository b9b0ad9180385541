//! Who may connect: the kernel's own NFS client, told by its port.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nfs_server::view::{Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use nfs3_types::xdr_codec::{Opaque, Void};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::client::{Answer, Client};

fn server() -> Server {
    let entries = vec![Entry::Directory { at: "/".into(), mode: 0o755, owner: Owner::default() }];
    let view = Arc::new(View::open(&ViewSpec { entries }, None).unwrap());
    let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
    Server::start(view, options).unwrap()
}

/// A connection from a port that only root may use, as the kernel's client makes it.
fn privileged(address: SocketAddr) -> TcpStream {
    let SocketAddr::V4(address) = address else { panic!("not an IPv4 address") };
    for port in (600..1024).rev() {
        let stream = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
        let own = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        if bind(stream.as_raw_fd(), &own).is_ok() {
            connect(stream.as_raw_fd(), &SockaddrIn::from(address)).unwrap();
            return TcpStream::from(stream);
        }
    }
    panic!("no port below 1024 can be had: these tests need root");
}

#[test]
fn a_program_of_an_ordinary_user_gets_nothing_even_with_the_right_path() {
    let server = server();
    let mut client = Client::connect(server.addr());
    let record = client.next_call(100_005, 3, 1, &Opaque::borrowed(server.export().as_bytes()));
    // The server may have hung up before this is sent.
    let _ = client.send(&record);
    assert!(client.is_ended());
    let mut client = Client::connect(server.addr());
    assert!(client.is_ended(), "without a word, too");
    assert_eq!((server.calls().total(), server.calls().refused()), (0, 2));
}

#[test]
fn a_port_that_needs_privilege_is_answered_on_linux_and_says_nothing_elsewhere() {
    let server = server();
    let mut client = Client::over(privileged(server.addr()));
    if cfg!(not(target_os = "linux")) {
        assert!(client.is_ended());
        return;
    }
    let record = client.next_call(100_005, 3, 1, &Opaque::borrowed(server.export().as_bytes()));
    assert!(matches!(client.ask(&record), Answer::Done(_)));
    client.null();
}

#[test]
fn it_listens_on_the_loopback_interface_alone() {
    let server = server();
    assert!(server.addr().ip().is_loopback());
    // Another address of this machine, were there a listener on all of them.
    let elsewhere = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), server.addr().port()));
    assert!(TcpStream::connect(elsewhere).is_err());
}

#[test]
fn handles_outlive_a_restart_with_the_same_secret_and_no_other() {
    let handle_key = nfs_server::HandleKey::random().unwrap();
    let start = |handle_key| {
        let entries = vec![Entry::Directory { at: "/empty".into(), mode: 0o555, owner: Owner::default() }];
        let view = Arc::new(View::open(&ViewSpec { entries }, None).unwrap());
        let options =
            ServerOptions { handle_key: Some(handle_key), ..ServerOptions::new(Users::Any, Peers::Anyone) };
        Server::start(view, options).unwrap()
    };
    let root = |server: &Server| {
        let mut client = Client::connect(server.addr());
        let record = client.next_call(100_005, 3, 1, &Opaque::borrowed(server.export().as_bytes()));
        let Answer::Done(result) = client.ask(&record) else { panic!("MNT was refused") };
        crate::client::handle(&result[8..40])
    };
    let (first, second) = (start(handle_key), start(handle_key));
    let handle = root(&first);
    assert_eq!((first.export(), root(&second)), (second.export(), handle.clone()));
    first.stop();
    Client::connect(second.addr()).getattr(&handle).unwrap();
    let other = start(nfs_server::HandleKey::random().unwrap());
    assert!(Client::connect(other.addr()).getattr(&handle).is_err());
    let mut client = Client::connect(other.addr());
    let record = client.next_call(100_003, 3, 0, &Void);
    assert!(matches!(client.ask(&record), Answer::Done(_)));
}
