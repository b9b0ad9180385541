//! How the kernel treats the program's system calls: its personality, what of it is refused, whom it can reach.

#[cfg(target_os = "linux")]
mod apply;

use serde::{Deserialize, Serialize};

/// What a program is told and allowed. By default as much as any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemCalls {
    /// Set-id modes cannot be set (`EPERM`) and extended attributes neither read nor set (`ENOTSUP`), whatever file
    /// system a file is on: what Nix's setting `filter-syscalls` stands for. Takes no new privileges.
    pub filtered: bool,
    /// Abstract Unix sockets of processes outside cannot be connected to, where the kernel knows how to refuse it
    /// (landlock(7), Linux 6.12). Takes no new privileges.
    pub own_abstract_sockets: bool,
    /// The machine says that it has 32 bits (`PER_LINUX32`).
    pub says_32_bits: bool,
    /// The kernel says that it is a Linux 2.6 (`UNAME26`).
    pub says_linux_26: bool,
    /// Addresses are the same in every run (`ADDR_NO_RANDOMIZE`).
    pub same_addresses: bool,
}

/// Whether this kernel can keep a program from abstract Unix sockets of others ([`SystemCalls::own_abstract_sockets`]).
/// Without a network of its own, a program reaches those of the machine otherwise.
#[must_use]
pub fn can_scope_abstract_sockets() -> bool {
    #[cfg(target_os = "linux")]
    {
        apply::can_scope()
    }
    #[cfg(not(target_os = "linux"))]
    {
        false
    }
}

impl SystemCalls {
    /// All is refused that can be; the kernel says of itself what it is.
    #[must_use]
    pub fn strict() -> SystemCalls {
        SystemCalls { filtered: true, own_abstract_sockets: true, ..SystemCalls::default() }
    }
}
