//! What a program on macOS may do, as one profile for the system's sandbox: pure functions from data to text.
//!
//! A profile is a program in a dialect of Scheme that libsandbox compiles. Nobody but browsers and Nix documents it;
//! what is used here, Nix uses too.

mod forms;
mod quote;
mod server;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use forms::allow;

pub use quote::quote;
pub use server::server;

/// The inputs of a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Which files.
    pub files: Files,
    /// Which other machines and programs.
    pub network: NetworkAccess,
    /// More text of the same kind, which is put after all that this profile allows: what a derivation says for itself.
    #[serde(default)]
    pub extra: String,
}

/// The files that a program may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Files {
    /// All that are below its root: the root is a view, which decides.
    View,
    /// Those that are named here, of the machine's.
    Listed {
        /// Files and trees that nobody writes to who could: the store's.
        fixed: Vec<PathBuf>,
        /// Files and trees that it reads.
        read: Vec<PathBuf>,
        /// Trees that it writes to.
        write: Vec<PathBuf>,
        /// Whether it may list the directories above all these, and not only look names up there.
        lists_above: bool,
    },
}

/// Which network peers a program may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkAccess {
    /// None.
    #[default]
    None,
    /// Programs on this machine (`__darwinAllowLocalNetworking`).
    Local,
    /// All.
    All,
}

/// What every program may do whatever it is: start others, ask about the machine, share memory and signal within the
/// sandbox, look up users. Set-id programs are never made.
const COMMON: &str = "\
(version 1)
(deny default (with no-log))
(allow process-fork)
(allow sysctl-read)
(allow ipc-posix*)
(allow ipc-sysv*)
(allow system-socket)
(allow signal (target same-sandbox))
(allow mach-lookup (global-name \"com.apple.system.opendirectoryd.libinfo\"))
";

/// With a view as its root, all that can be named is the view's: sockets too.
const VIEW: &str = "\
(allow file* process-exec)
(allow network-inbound network-outbound (subpath \"/\"))
";

/// After whatever allows to write.
const NO_SET_ID: &str = "(deny file-write-setugid)\n";

/// The same for files that are the machine's own: a flag or a list of rights could keep even root from moving or
/// removing an output. A served file has neither.
const NO_FLAGS: &str = "(deny file-write-acl file-write-flags)\n";

/// Devices and places of the system's own that programs stumble without. Nix's builders have them as well.
const SYSTEM: &str = "\
(allow file-read-metadata (literal \"/dev\") (literal \"/etc\") (literal \"/tmp\") (literal \"/var\"))
(allow file*
  (literal \"/dev/null\") (literal \"/dev/random\") (literal \"/dev/urandom\") (literal \"/dev/zero\")
  (literal \"/dev/stdin\") (literal \"/dev/stdout\") (literal \"/dev/stderr\") (literal \"/dev/tty\")
  (literal \"/dev/ptmx\") (literal \"/dev/dtracehelper\") (subpath \"/dev/fd\")
  (regex #\"^/dev/pty[a-z]+\") (regex #\"^/dev/ttys[0-9]+\"))
(allow file-read*
  (literal \"/\") (literal \"/private/var/select/sh\")
  (literal \"/System/Library/CoreServices/SystemVersion.plist\")
  (literal \"/System/Library/CoreServices/SystemVersionCompat.plist\")
  (subpath \"/usr/share/locale\") (subpath \"/usr/share/zoneinfo\")
  (subpath \"/Library/Apple/usr/libexec/oah\") (subpath \"/System/Library/Apple/usr/libexec/oah\")
  (literal \"/System/Library/LaunchDaemons/com.apple.oahd.plist\")
  (literal \"/Library/Apple/System/Library/LaunchDaemons/com.apple.oahd.plist\"))
";

/// The system's resolver, without which not even `localhost` is found.
const RESOLVER: &str = "\
(allow network-outbound (remote unix-socket (path-literal \"/private/var/run/mDNSResponder\")))
(allow file-read*
  (literal \"/etc/hosts\") (literal \"/etc/resolv.conf\")
  (literal \"/private/etc/hosts\") (literal \"/private/etc/resolv.conf\") (literal \"/private/etc/services\")
  (literal \"/private/var/run/resolv.conf\"))
";

const LOCAL: &str = "\
(allow network* (remote ip \"localhost:*\"))
(allow network-inbound (local ip \"*:*\"))
";

const ALL: &str = "\
(allow network* (local ip) (remote ip))
(allow mach-lookup
  (global-name \"com.apple.SystemConfiguration.DNSConfiguration\")
  (global-name \"com.apple.trustd\") (global-name \"com.apple.trustd.agent\"))
(allow file-read* (subpath \"/private/etc/ssl\"))
";

impl Profile {
    /// The text. No program may connect to `server`, the port that its view is served at: of rules that contradict
    /// each other, the last one counts.
    #[must_use]
    pub fn text(&self, server: Option<u16>) -> String {
        let mut text = String::from(COMMON);
        match &self.files {
            Files::View => text += VIEW,
            Files::Listed { fixed, read, write, lists_above } => {
                text += &(listed(fixed, read, write, *lists_above) + NO_FLAGS);
            }
        }
        text += NO_SET_ID;
        text += match self.network {
            NetworkAccess::None => "",
            NetworkAccess::Local => LOCAL,
            NetworkAccess::All => ALL,
        };
        if self.network != NetworkAccess::None {
            text += RESOLVER;
        }
        text += &self.extra;
        // The other text may end in a remark.
        text += if self.extra.is_empty() || self.extra.ends_with('\n') { "" } else { "\n" };
        if let Some(port) = server {
            text += &format!("(deny network-outbound (remote ip \"localhost:{port}\"))\n");
        }
        text
    }
}

/// Without leave to write, access(2) says `EPERM` of what is read-only, where programs expect `EACCES` (Nix found
/// that). What nobody may write by its mode can have it; nothing else gets it.
///
/// realpath(3) of a relative path lists every directory up to the root in programs that were compiled for POSIX alone
/// (`getcwd.c` and `realpath.c` of Apple's Libc; the others ask `F_GETPATH`), so Nix lets builders list them.
fn listed(fixed: &[PathBuf], read: &[PathBuf], write: &[PathBuf], lists_above: bool) -> String {
    let mut text = String::from(SYSTEM);
    let all: Vec<&Path> = fixed.iter().chain(read).chain(write).map(PathBuf::as_path).collect();
    let above: BTreeSet<&Path> = all.iter().flat_map(|path| path.ancestors().skip(1)).collect();
    text += &allow(if lists_above { "file-read*" } else { "file-read-metadata" }, "literal", above);
    text += &allow("file-read* file-write* process-exec", "subpath", fixed);
    text += &allow("file-read* process-exec", "subpath", read);
    text += &allow("file* process-exec network-inbound network-outbound", "subpath", write);
    text
}

#[cfg(test)]
mod tests;
