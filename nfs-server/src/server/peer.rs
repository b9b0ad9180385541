//! Who may connect: the NFS client in this machine's kernel, and nobody else.
//!
//! Linux's client binds a port that needs privilege. macOS's does not, and there everybody may bind those ports; but its
//! kernel tells which process a socket belongs to, and of its own ones that they belong to none.

#[cfg(target_os = "linux")]
mod ports;
mod sockets;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};

use defences::Defence;
use sockets::SocketOwner;

/// Whose connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Those of the kernel's NFS client.
    KernelOnly,
    /// Those of any program on this machine. For tests and measurements of the protocol itself.
    Anyone,
}

/// What tells the kernel's connections from others.
pub(super) enum PeerCheck {
    /// Nothing has to.
    None,
    /// Source ports below the one that this says are the kernel's or root's.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "those of Linux"))]
    Ports(ReadFirstUnprivileged),
    /// The table of sockets says whose they are.
    Sockets(ReadTable),
}

/// Reads the first port that every user may bind, as it is now in the network namespace of the listener.
type ReadFirstUnprivileged = Box<dyn Fn() -> Result<u16, String> + Send + Sync>;

/// Reads the table of TCP sockets as it is now.
type ReadTable = Box<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

impl PeerCheck {
    /// # Errors
    /// A sentence, when nothing tells the kernel's connections from those of other programs.
    pub(super) fn new(peers: Peers) -> Result<PeerCheck, String> {
        match peers {
            Peers::Anyone => Ok(PeerCheck::None),
            Peers::KernelOnly => PeerCheck::of_this_system(),
        }
    }

    #[cfg(target_os = "linux")]
    fn of_this_system() -> Result<PeerCheck, String> {
        let setting = ports::Setting::open()?;
        // Where the ports of the client are everybody's, no server starts.
        setting.first_unprivileged()?;
        Ok(PeerCheck::Ports(Box::new(move || setting.first_unprivileged())))
    }

    #[cfg(not(target_os = "linux"))]
    fn of_this_system() -> Result<PeerCheck, String> {
        PeerCheck::by_sockets(Box::new(crate::sys::tcp_sockets))
    }

    /// The table's layout is not promised, so it has to show first that it is understood: a connection of this process
    /// must be found in it as just that.
    #[cfg_attr(
        target_os = "linux",
        allow(dead_code, reason = "the tests make sure of it here, macOS uses it")
    )]
    fn by_sockets(read: ReadTable) -> Result<PeerCheck, String> {
        let (_client, client, server) = own_connection()
            .map_err(|error| format!("a connection of this process to itself cannot be made: {error}"))?;
        let table =
            read().map_err(|error| format!("the system's table of TCP sockets cannot be read: {error}"))?;
        match sockets::owner(&table, client, server) {
            Some(SocketOwner::Process(process)) if process == std::process::id() => {
                Ok(PeerCheck::Sockets(read))
            }
            found => Err(format!(
                "the system's table of TCP sockets has another form than is known: a connection of this process is shown as {found:?}"
            )),
        }
    }

    /// # Errors
    /// Why the peer is refused.
    pub(super) fn admits(&self, peer: SocketAddr, own: SocketAddr) -> Result<(), &'static str> {
        let (SocketAddr::V4(peer), SocketAddr::V4(own)) = (peer, own) else {
            return Err("it does not come by IP version 4");
        };
        if !peer.ip().is_loopback() {
            return Err("it does not come from this machine");
        }
        match self {
            PeerCheck::None => Ok(()),
            PeerCheck::Ports(read) => match read() {
                Ok(first) if peer.port() < first || !Defence::PeerPorts.stands() => Ok(()),
                Ok(_) => Err("its port is one that every user may use"),
                Err(_) => Err("every user may use the ports of the NFS client"),
            },
            PeerCheck::Sockets(read) => {
                let table = read().map_err(|_| "the system's table of TCP sockets cannot be read")?;
                match sockets::owner(&table, peer, own) {
                    Some(SocketOwner::Kernel) => Ok(()),
                    Some(SocketOwner::Process(_)) => Err("it belongs to a process"),
                    None => Err("the system's table of TCP sockets does not have it"),
                }
            }
        }
    }
}

/// A connection from this process to itself, and the addresses of its two ends.
fn own_connection() -> io::Result<((TcpStream, TcpListener), SocketAddrV4, SocketAddrV4)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = TcpStream::connect(listener.local_addr()?)?;
    match (stream.local_addr()?, stream.peer_addr()?) {
        (SocketAddr::V4(client), SocketAddr::V4(server)) => Ok(((stream, listener), client, server)),
        _ => Err(io::ErrorKind::AddrNotAvailable.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::sockets::tests::Table;
    use super::*;

    const SERVER: &str = "127.0.0.1:2049";

    fn admits(check: &PeerCheck, peer: &str) -> Result<(), &'static str> {
        check.admits(peer.parse().unwrap(), SERVER.parse().unwrap())
    }

    #[test]
    fn only_privileged_ports_of_this_machine_are_admitted() {
        let check = PeerCheck::Ports(Box::new(|| Ok(1024)));
        assert!(admits(&check, "127.0.0.1:1023").is_ok());
        assert!(admits(&check, "127.0.0.1:1024").is_err());
        assert!(admits(&check, "192.0.2.1:700").is_err());
    }

    #[test]
    fn ports_that_are_given_to_every_user_while_serving_are_not_admitted_from_then_on() {
        let first = std::sync::Arc::new(std::sync::Mutex::new(Ok(1024)));
        let setting = std::sync::Arc::clone(&first);
        let check = PeerCheck::Ports(Box::new(move || setting.lock().unwrap().clone()));
        assert!(admits(&check, "127.0.0.1:800").is_ok());
        *first.lock().unwrap() = Ok(800);
        assert!(admits(&check, "127.0.0.1:800").is_err());
        assert!(admits(&check, "127.0.0.1:799").is_ok());
        *first.lock().unwrap() = Err("it is 80".into());
        assert!(admits(&check, "127.0.0.1:700").is_err());
    }

    #[test]
    fn only_sockets_of_no_process_are_admitted() {
        let server = SERVER.parse().unwrap();
        let table = Table::new()
            .socket("127.0.0.1:50000".parse().unwrap(), server, 0)
            .socket("127.0.0.1:700".parse().unwrap(), server, 4711)
            .bytes();
        let check = PeerCheck::Sockets(Box::new(move || Ok(table.clone())));
        assert_eq!(admits(&check, "127.0.0.1:50000"), Ok(()));
        assert_eq!(admits(&check, "127.0.0.1:700"), Err("it belongs to a process"), "privileged or not");
        let missing = Err("the system's table of TCP sockets does not have it");
        assert_eq!(admits(&check, "127.0.0.1:50001"), missing);
    }

    #[test]
    fn a_table_that_cannot_be_read_admits_nobody() {
        let check = PeerCheck::Sockets(Box::new(|| Err(io::ErrorKind::PermissionDenied.into())));
        assert!(admits(&check, "127.0.0.1:700").is_err());
    }

    /// What a system would show of a process's sockets: those that this process has open.
    #[cfg(target_os = "linux")]
    fn shown(process: u32) -> Vec<u8> {
        let own = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
        let address = |text: &str| {
            let (address, port) = text.split_once(':').unwrap();
            let address = u32::from_str_radix(address, 16).unwrap().to_ne_bytes();
            SocketAddrV4::new(address.into(), u16::from_str_radix(port, 16).unwrap())
        };
        let lines = own.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let add = |table: Table, line: Vec<&str>| table.socket(address(line[1]), address(line[2]), process);
        lines.fold(Table::new(), add).bytes()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_server_starts_only_when_the_table_shows_its_own_connection_as_its_own() {
        assert!(PeerCheck::by_sockets(Box::new(|| Ok(shown(std::process::id())))).is_ok());
        let refusal = |read: ReadTable| PeerCheck::by_sockets(read).err().unwrap();
        assert!(refusal(Box::new(|| Ok(shown(0)))).ends_with("is shown as Some(Kernel)"));
        assert!(refusal(Box::new(|| Ok(shown(1)))).ends_with("is shown as Some(Process(1))"));
        assert!(refusal(Box::new(|| Ok(Table::new().bytes()))).ends_with("is shown as None"));
        assert!(refusal(Box::new(|| Err(io::ErrorKind::NotFound.into()))).contains("cannot be read"));
    }
}
