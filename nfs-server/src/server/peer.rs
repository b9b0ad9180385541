//! Who may connect: the NFS client in this machine's kernel, and nobody else.

use std::net::SocketAddr;

/// Whose connections are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Those of the kernel's NFS client.
    KernelOnly,
    /// Those of any program on this machine. For tests and measurements of the protocol itself.
    Anyone,
}

/// What tells the kernel's connections from others.
pub(super) struct Check {
    /// Source ports below this one are the kernel's or root's; 0 admits all.
    privileged_below: u16,
}

impl Check {
    /// # Errors
    /// A sentence, when nothing tells the kernel's connections from those of other programs.
    pub(super) fn new(peers: Peers) -> Result<Check, String> {
        match peers {
            Peers::Anyone => Ok(Check { privileged_below: 0 }),
            Peers::KernelOnly => Ok(Check { privileged_below: first_unprivileged_port()? }),
        }
    }

    /// # Errors
    /// Why the peer is refused.
    pub(super) fn admits(&self, peer: SocketAddr) -> Result<(), &'static str> {
        if !peer.ip().is_loopback() {
            return Err("it does not come from this machine");
        }
        if self.privileged_below != 0 && peer.port() >= self.privileged_below {
            return Err("its port is one that every user may use");
        }
        Ok(())
    }
}

/// The first port that a user without privileges may bind. The kernel's NFS client binds a port below 1024, but an
/// administrator can open those too.
#[cfg(target_os = "linux")]
fn first_unprivileged_port() -> Result<u16, String> {
    const SETTING: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    const RESERVED: u16 = 1024;
    /// The lowest port that the client tries (`xprt_min_resvport` of the kernel's sunrpc module).
    const CLIENT_LOWEST: u16 = 665;
    let text = match std::fs::read_to_string(SETTING) {
        Ok(text) => text,
        // Kernels without the setting reserve what they always did.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(RESERVED),
        Err(error) => return Err(format!("{SETTING} cannot be read: {error}")),
    };
    let start: u16 = text.trim().parse().map_err(|_| format!("{SETTING} holds {text:?}"))?;
    if start <= CLIENT_LOWEST {
        return Err(format!("{SETTING} is {start}, so that every user may bind the ports of the NFS client"));
    }
    Ok(start.min(RESERVED))
}

/// macOS shows in `net.inet.tcp.pcblist_n` whether a socket belongs to the kernel; until that is asked, nobody is
/// admitted.
#[cfg(not(target_os = "linux"))]
fn first_unprivileged_port() -> Result<u16, String> {
    Err("this system's way to ask whose a connection is has not been built".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_privileged_ports_of_this_machine_are_admitted() {
        let check = Check { privileged_below: 1024 };
        assert!(check.admits("127.0.0.1:1023".parse().unwrap()).is_ok());
        assert!(check.admits("127.0.0.1:1024".parse().unwrap()).is_err());
        assert!(check.admits("192.0.2.1:700".parse().unwrap()).is_err());
    }
}
