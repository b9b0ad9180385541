//! How the kernel treats a build's system calls, as Nix sets it up.

use sandbox::jail::SystemCalls;

use crate::store::Settings;

/// Systems whose builds are told that the machine has 32 bits.
const SYSTEMS_OF_32_BITS: [&str; 4] = ["i686-linux", "armv7l-linux", "armv6l-linux", "armv5tel-linux"];

/// Systems whose builds may be told that the kernel is a Linux 2.6.
const SYSTEMS_LIKE_LINUX_26: [&str; 2] = ["i686-linux", "x86_64-linux"];

/// Those of a build for this platform.
pub(super) fn of(platform: &str, settings: &Settings) -> SystemCalls {
    SystemCalls {
        filtered: settings.filter_syscalls,
        says_32_bits: SYSTEMS_OF_32_BITS.contains(&platform),
        says_linux_26: settings.impersonate_linux_26 && SYSTEMS_LIKE_LINUX_26.contains(&platform),
        same_addresses: true,
        ..SystemCalls::strict()
    }
}
