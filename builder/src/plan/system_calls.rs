//! How the kernel treats a build's system calls, as Nix sets it up.

use serde::Serialize;

use crate::store::Settings;

/// Systems whose builds are told that the machine has 32 bits.
const SYSTEMS_OF_32_BITS: [&str; 4] = ["i686-linux", "armv7l-linux", "armv6l-linux", "armv5tel-linux"];

/// Systems whose builds may be told that the kernel is a Linux 2.6.
const SYSTEMS_LIKE_LINUX_26: [&str; 2] = ["i686-linux", "x86_64-linux"];

/// How the kernel treats a build's system calls, where that is not the same for all builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemCalls {
    /// Set-id modes and extended attributes are refused.
    pub filtered: bool,
    /// The machine says that it has 32 bits.
    pub says_32_bits: bool,
    /// The kernel says that it is a Linux 2.6.
    pub says_linux_26: bool,
}

impl SystemCalls {
    /// Those of a build for this platform.
    pub(super) fn of(platform: &str, settings: &Settings) -> SystemCalls {
        SystemCalls {
            filtered: settings.filter_syscalls,
            says_32_bits: SYSTEMS_OF_32_BITS.contains(&platform),
            says_linux_26: settings.impersonate_linux_26 && SYSTEMS_LIKE_LINUX_26.contains(&platform),
        }
    }
}
