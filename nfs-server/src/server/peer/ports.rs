//! Linux: the kernel's client binds ports that need privilege.

use std::{fs, io};

/// The first port that a user without privileges may bind. The kernel's NFS client binds a port below 1024, but an
/// administrator can open those too.
pub(super) fn first_unprivileged() -> Result<u16, String> {
    const SETTING: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    const RESERVED: u16 = 1024;
    /// The lowest port that the client tries (`xprt_min_resvport` of the kernel's sunrpc module).
    const CLIENT_LOWEST: u16 = 665;
    let text = match fs::read_to_string(SETTING) {
        Ok(text) => text,
        // Kernels without the setting reserve what they always did.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(RESERVED),
        Err(error) => return Err(format!("{SETTING} cannot be read: {error}")),
    };
    let start: u16 = text.trim().parse().map_err(|_| format!("{SETTING} holds {text:?}"))?;
    if start <= CLIENT_LOWEST {
        return Err(format!("{SETTING} is {start}, so that every user may bind the ports of the NFS client"));
    }
    Ok(start.min(RESERVED))
}
