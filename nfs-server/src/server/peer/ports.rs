//! Linux: the kernel's client binds ports that need privilege.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const SETTING: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";

/// The setting of a network namespace; none on a kernel without it.
pub(super) struct Setting(Option<File>);

impl Setting {
    /// That of the calling thread's namespace. It stays open: who serves may open no file outside the view.
    pub(super) fn open() -> Result<Setting, String> {
        match File::open(SETTING) {
            Ok(file) => Ok(Setting(Some(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Setting(None)),
            Err(error) => Err(format!("{SETTING} cannot be read: {error}")),
        }
    }

    /// The first port that a user without privileges may bind, as it is now. The kernel's NFS client binds a port below 1024,
    /// but an administrator can open those too.
    pub(super) fn first_unprivileged(&self) -> Result<u16, String> {
        // Kernels without the setting reserve what they always did.
        let Some(file) = &self.0 else { return Ok(RESERVED) };
        let mut text = [0; 16];
        let length =
            file.read_at(&mut text, 0).map_err(|error| format!("{SETTING} cannot be read: {error}"))?;
        first(&String::from_utf8_lossy(text.get(..length).unwrap_or_default()))
    }
}

/// What the kernel reserves.
const RESERVED: u16 = 1024;

fn first(text: &str) -> Result<u16, String> {
    /// The lowest port that the client tries (`xprt_min_resvport` of the kernel's sunrpc module).
    const CLIENT_LOWEST: u16 = 665;
    let start: u16 = text.trim().parse().map_err(|_| format!("{SETTING} holds {text:?}"))?;
    if start <= CLIENT_LOWEST {
        return Err(format!("{SETTING} is {start}, so that every user may bind the ports of the NFS client"));
    }
    Ok(start.min(RESERVED))
}
