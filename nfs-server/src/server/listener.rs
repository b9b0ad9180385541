//! The socket that clients connect to.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::ServerError;
use super::peer::{PeerCheck, Peers};

/// A socket that clients can connect to, and what tells which of them are served: all for which a server needs the system
/// before it serves.
pub struct Listener {
    pub(super) socket: TcpListener,
    pub(super) address: SocketAddr,
    pub(super) peers: PeerCheck,
}

impl Listener {
    /// Listens on a free port of 127.0.0.1, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`ServerError::Peers`] when the system lets every program use the ports that are to tell the kernel, or does not
    /// tell whose sockets are.
    pub fn new(peers: Peers) -> Result<Listener, ServerError> {
        let peers = PeerCheck::new(peers).map_err(ServerError::Peers)?;
        let socket = listen().map_err(ServerError::Listen)?;
        let address = socket.local_addr().map_err(ServerError::Listen)?;
        Ok(Listener { socket, address, peers })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.address
    }
}

/// Listens on a free port of 127.0.0.1, without ever waiting for a connection.
///
/// # Errors
/// As bind(2) and listen(2).
fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    send_unpaced(&listener);
    Ok(listener)
}

/// Has the listener's connections send as soon as the other side can receive.
///
/// The system's default may be meant for the networks between machines: BBR spaces its segments by timers, with which a
/// READ of large data took three times as long. Reno, which every Linux has (tcp(7)), holds back after losses only, and
/// loopback loses nothing. It has to be chosen before a connection is there: what paces one once goes on to.
#[cfg(target_os = "linux")]
fn send_unpaced(listener: &TcpListener) {
    let chosen =
        nix::sys::socket::setsockopt(listener, nix::sys::socket::sockopt::TcpCongestion, &"reno".into());
    if let Err(error) = chosen {
        tracing::debug!(%error, "connections keep the system's congestion control");
    }
}

/// Other systems do as they do for every connection.
#[cfg(not(target_os = "linux"))]
fn send_unpaced(_: &TcpListener) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpStream;

    use nix::sys::socket::{getsockopt, sockopt::TcpCongestion};

    use super::listen;

    #[test]
    fn connections_are_not_paced_whatever_the_system_does() {
        let listener = listen().unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (connection, _) = listener.accept().unwrap();
        let name = getsockopt(&connection, TcpCongestion).unwrap();
        assert_eq!(name.to_string_lossy().trim_end_matches('\0'), "reno");
    }
}
