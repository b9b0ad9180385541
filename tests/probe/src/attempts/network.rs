//! Sockets of every kind.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use super::{Answer, Attempt, ok};
use crate::report::errno;

/// How long a machine that does not answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

pub const ATTEMPTS: &[Attempt] = &[
    ("binding port 80", |_| errno(TcpListener::bind("127.0.0.1:80")).map(ok)),
    ("binding port 1023 on all addresses", |_| errno(TcpListener::bind("0.0.0.0:1023")).map(ok)),
    ("talking to oneself on 127.0.0.1", |_| echo("127.0.0.1:0")),
    ("talking to oneself on 127.0.0.2", |_| echo("127.0.0.2:0")),
    ("talking to oneself on ::1", |_| echo("[::1]:0")),
    ("talking to oneself on all addresses", |_| echo("0.0.0.0:0")),
    ("connecting to a port where nobody listens", |_| connect("127.0.0.1:9")),
    ("connecting to the outside", |_| connect("8.8.8.8:53")),
    ("connecting to the outside by IPv6", |_| connect("[2001:4860:4860::8888]:53")),
    ("a datagram to the outside", |_| {
        let socket = errno(UdpSocket::bind("0.0.0.0:0"))?;
        errno(socket.send_to(b"text", "8.8.8.8:53")).map(ok)
    }),
    ("a datagram to everybody", |_| {
        let socket = errno(UdpSocket::bind("0.0.0.0:0"))?;
        errno(socket.set_broadcast(true).and_then(|()| socket.send_to(b"text", "255.255.255.255:9"))).map(ok)
    }),
    ("a name of the machine", |_| {
        let addresses = errno(std::net::ToSocketAddrs::to_socket_addrs(&("127.0.0.1", 1)))?;
        Ok(format!("{:?}", addresses.collect::<Vec<_>>()))
    }),
    ("a raw socket", |_| kind(AddressFamily::Inet, SockType::Raw, Some(SockProtocol::Icmp))),
    ("an echo socket", |_| kind(AddressFamily::Inet, SockType::Datagram, Some(SockProtocol::Icmp))),
    ("a packet socket", |_| kind(AddressFamily::Packet, SockType::Raw, None)),
    ("a netlink socket", |_| kind(AddressFamily::Netlink, SockType::Raw, None)),
    ("an abstract socket", |_| {
        let name = errno(std::os::unix::net::SocketAddr::from_abstract_name("probe"))?;
        let _listener = errno(UnixListener::bind_addr(&name))?;
        errno(UnixStream::connect_addr(&name)).map(ok)
    }),
    ("a pair of sockets", |_| errno(UnixStream::pair()).map(ok)),
];

fn kind(family: AddressFamily, kind: SockType, protocol: Option<SockProtocol>) -> Answer {
    socket(family, kind, SockFlag::empty(), protocol).map(ok)
}

fn connect(address: &str) -> Answer {
    let address: SocketAddr = address.parse().map_err(|_| nix::errno::Errno::EINVAL)?;
    match TcpStream::connect_timeout(&address, PATIENCE) {
        Err(error) if error.raw_os_error().is_none() => Ok("no answer".into()),
        other => errno(other).map(ok),
    }
}

fn echo(address: &str) -> Answer {
    let listener = errno(TcpListener::bind(address))?;
    let mut client = errno(TcpStream::connect(errno(listener.local_addr())?))?;
    let (mut server, _) = errno(listener.accept())?;
    errno(server.write_all(b"text"))?;
    let mut heard = [0; 4];
    errno(client.read_exact(&mut heard)).map(ok)
}
