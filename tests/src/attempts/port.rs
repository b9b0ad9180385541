//! Talking to the server without being the kernel's NFS client.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use super::{Attempt, Gain, Target, errno};

/// A server that keeps silent for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The lowest port that every user may bind.
const UNPRIVILEGED: u16 = 1024;
const UNREACHABLE: &[Errno] =
    &[Errno::ECONNREFUSED, Errno::ENETUNREACH, Errno::EHOSTUNREACH, Errno::ECONNRESET, Errno::EPIPE];

/// Each claims to be root.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt { name: "NULL", run: |target| ask(target, &null()), refusals: UNREACHABLE },
    Attempt {
        name: "MNT of the export",
        run: |target| ask(target, &mount(&server(target)?.1)),
        refusals: UNREACHABLE,
    },
    Attempt { name: "MNT of the root", run: |target| ask(target, &mount("/")), refusals: UNREACHABLE },
    Attempt { name: "a port of the kernel's", run: low_port, refusals: &[Errno::EACCES] },
];

/// The address and the export; by default those of this process's root.
fn server(target: &Target) -> nix::Result<(SocketAddr, String)> {
    match &target.server {
        Some(line) => at(line),
        None => at(&errno(fs::read_to_string("/proc/self/mounts"))?),
    }
}

/// The address and the export of the first view in a mount table, which tells them to everybody.
pub fn at(table: &str) -> nix::Result<(SocketAddr, String)> {
    let mount = table.lines().find(|line| line.starts_with("127.0.0.1:/")).ok_or(Errno::ENOENT)?;
    let words: Vec<&str> = mount.split(' ').collect();
    let port =
        words.get(3).and_then(|options| options.split(',').find_map(|option| option.strip_prefix("port=")));
    let port = port.and_then(|port| port.parse().ok()).ok_or(Errno::EINVAL)?;
    let export = words[0].trim_start_matches("127.0.0.1:").to_owned();
    Ok((SocketAddr::from((Ipv4Addr::LOCALHOST, port)), export))
}

/// Whether a call over this connection is answered with anything.
pub fn answered(mut stream: TcpStream, record: &[u8]) -> nix::Result<bool> {
    errno(stream.set_read_timeout(Some(PATIENCE)))?;
    let header = (record.len() as u32) | 1 << 31;
    errno(stream.write_all(&[&header.to_be_bytes(), record].concat()))?;
    errno(stream.read(&mut [0; 64])).map(|count| count > 0)
}

/// A connection from a port that needs privilege, as the kernel's client has.
pub fn privileged(server: SocketAddr) -> nix::Result<TcpStream> {
    let own: OwnedFd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let bound = (512..UNPRIVILEGED).rev().find_map(|port| {
        match bind(own.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port)) {
            Err(Errno::EADDRINUSE) => None,
            result => Some(result),
        }
    });
    bound.unwrap_or(Err(Errno::EADDRINUSE))?;
    connect(own.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, server.port()))?;
    Ok(TcpStream::from(own))
}

/// A call of MNT by somebody who says that he is root.
pub fn mount(export: &str) -> Vec<u8> {
    let mut record = call(100_005, 3, 1);
    record.extend((export.len() as u32).to_be_bytes());
    record.extend(export.as_bytes());
    record.resize(record.len().next_multiple_of(4), 0);
    record
}

fn null() -> Vec<u8> {
    call(100_003, 3, 0)
}

/// The head of a call (RFC 5531, section 9) with AUTH_SYS credentials of user and group 0.
fn call(program: u32, version: u32, procedure: u32) -> Vec<u8> {
    let head = [7, 0, 2, program, version, procedure];
    let credentials = [1, 20, 0, 0, 0, 0, 0];
    let verifier = [0, 0];
    let words = head.iter().chain(&credentials).chain(&verifier);
    words.flat_map(|word| word.to_be_bytes()).collect()
}

fn ask(target: &Target, record: &[u8]) -> nix::Result<Gain> {
    let stream = errno(TcpStream::connect_timeout(&server(target)?.0, PATIENCE))?;
    answered(stream, record).map(Gain::when)
}

fn low_port(target: &Target) -> nix::Result<Gain> {
    let (server, export) = server(target)?;
    answered(privileged(server)?, &mount(&export)).map(Gain::when)
}
