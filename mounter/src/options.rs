//! The option lines for the NFS clients of Linux and macOS, as pure functions.

use serde::{Deserialize, Serialize};

use crate::Source;

/// Bytes in one READ or WRITE: the most that both clients ask for.
const TRANSFER: u32 = 1 << 20;

/// Bytes in a block, as of most local file systems.
const BLOCK: u32 = 4096;

/// How long attributes and names are believed when nobody but this client changes them, in seconds. Long enough for
/// any build to pay for each file once, short enough that a mistake does not last for ever.
const EXCLUSIVE_CACHE: u32 = 3600;

/// The same when the host may change what is shown, in seconds.
const LIVE_CACHE: u32 = 1;

/// Seconds until a call that got no answer is sent again: the most that Linux takes (`NFS_MAX_TCP_TIMEOUT`). The connection
/// is a loopback one, so nothing is ever lost; a call that takes long is one that the host's disk holds up, or whose server
/// was stopped, and a second copy of it would be carried out after calls that the client made because of the first.
const RESEND: u32 = 600;

/// The same where the call fails after it was sent again and not answered either, so after twice that: longer than a
/// machine's hiccup, and not so long that somebody who keeps a file of a view with something to write back could hold up
/// every sync(2) of the machine for long.
const RESEND_ONCE: u32 = 90;

/// How often a call is sent again before the client reports, or fails it.
const RESENDS: u32 = 1;

/// Defaults of `/sbin/mount_nfs` that are asked for all the same: `nfs.client.mount.options` of `/etc/nfs.conf` is read
/// before the command line, whose options then count (`handle_mntopts` of Apple's `mount_nfs.c`). One that a version
/// does not know is passed over with a warning.
const MACOS_DEFAULTS: [&str; 13] = [
    // Files: all can be written and executed, have the owners that the server says, and hide nothing below.
    "rw",
    "exec",
    "owners",
    "nounion",
    "noquarantine",
    "nosync",
    "noasync",
    // Names of files are bytes.
    "nonfc",
    // Who may do what is the server's to say, of all groups that a user has.
    "opaque_auth",
    "maxgroups=16",
    // The server speaks TCP only, MOUNT too, and knows the kernel by its socket rather than by its port.
    "nomntudp",
    "noresvport",
    // Who starts mount_nfs waits for it.
    "nobg",
];

/// What the user of a mount may choose; the rest of the line follows from what loopbox's server is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountOptions {
    /// Who else changes what is mounted.
    #[serde(default)]
    pub changes: Changes,
    /// Lists names alone, so that each file that is used is looked up (nfs(5)).
    #[serde(default)]
    pub nordirplus: bool,
}

/// Who else changes what a mount shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Changes {
    /// Nobody: everything that changes, changes through this mount. Caches live long. So it is for builds: store paths
    /// never change, and what the configuration shows of the host is taken not to while a build runs.
    #[default]
    Exclusive,
    /// The host may change it too. Caches live for a second, and a file is checked when it is opened.
    Live,
}

/// What a client does about a call that is not answered (nfs(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// It waits, for as long as it takes. Somebody has to end it when the server has died: see [`crate::guard`].
    Hard,
    /// The call fails after 180 seconds with ETIMEDOUT, which a program may take for anything. That is
    /// for kernels on which nobody could end a client that waits.
    Softerr,
}

impl Recovery {
    fn word(self) -> &'static str {
        match self {
            Recovery::Hard => "hard",
            Recovery::Softerr => "softerr",
        }
    }

    fn resend_after(self) -> u32 {
        match self {
            Recovery::Hard => RESEND,
            Recovery::Softerr => RESEND_ONCE,
        }
    }
}

impl Changes {
    fn cache_seconds(self) -> u32 {
        match self {
            Changes::Exclusive => EXCLUSIVE_CACHE,
            Changes::Live => LIVE_CACHE,
        }
    }
}

/// What is mounted, in the form that both clients write it: `127.0.0.1:/export`.
#[must_use]
pub fn device(source: &Source) -> String {
    format!("{}:{}", source.addr.ip(), source.export)
}

/// The data argument of mount(2) for file system type `nfs` on Linux (nfs(5), `fs/nfs/fs_context.c`).
///
/// Set-id bits and devices are switched off by the mount's flags and not here.
#[must_use]
pub fn linux(source: &Source, options: &MountOptions, recovery: Recovery) -> String {
    let (address, port) = (source.addr.ip(), source.addr.port());
    let mut line = vec![
        // Every address and port is given, so that neither portmapper nor resolver is asked.
        "vers=3".into(),
        "proto=tcp".into(),
        format!("addr={address}"),
        format!("port={port}"),
        "mountvers=3".into(),
        "mountproto=tcp".into(),
        format!("mountaddr={address}"),
        format!("mountport={port}"),
        "sec=sys".into(),
        // The server has no lock manager: locks are this machine's own, which is all of their users.
        "nolock".into(),
        "local_lock=all".into(),
        // Nor has it the ACL side protocol.
        "noacl".into(),
        // A port may be used again by the server of another view: two mounts never share caches.
        "nosharecache".into(),
        recovery.word().into(),
        // In tenths of a second.
        format!("timeo={}", recovery.resend_after() * 10),
        format!("retrans={RESENDS}"),
        format!("rsize={TRANSFER}"),
        format!("wsize={TRANSFER}"),
        // What programs are told to read and write at once; a transfer's size by default, and buffers would be as large.
        format!("bsize={BLOCK}"),
        format!("actimeo={}", options.changes.cache_seconds()),
        // Names that do not exist are remembered too: a configure script asks for the same ones over and over.
        "lookupcache=all".into(),
    ];
    if options.changes == Changes::Exclusive {
        line.push("nocto".into());
    }
    if options.nordirplus {
        line.push("nordirplus".into());
    }
    line.join(",")
}

/// The arguments of `/sbin/mount_nfs` on macOS but for the mount point, which comes last (mount_nfs(8)).
#[must_use]
pub fn macos(source: &Source, options: &MountOptions) -> Vec<String> {
    let port = source.addr.port();
    let seconds = options.changes.cache_seconds();
    let mut line: Vec<String> = vec![
        // With both ports and the version given, the portmapper is not asked.
        "vers=3".into(),
        // The family of addresses too, which `tcp` leaves to what was said before.
        "proto=tcp".into(),
        format!("port={port}"),
        format!("mountport={port}"),
        "sec=sys".into(),
        "locallocks".into(),
        // Soft mounts there give up after a minute at the latest, also on a server that is merely slow. A dead one
        // is declared so by `deadtimeout`, in seconds, and its mount is then taken away by force.
        "hard".into(),
        "intr".into(),
        format!("deadtimeout={RESEND}"),
        if options.nordirplus { "nordirplus" } else { "rdirplus" }.into(),
        "noquota".into(),
        "mutejukebox".into(),
        "retrycnt=0".into(),
        "rsize=524288".into(),
        "wsize=524288".into(),
        "readahead=16".into(),
        "dsize=65536".into(),
        format!("actimeo={seconds}"),
        // Spotlight and the Finder stay away.
        "nobrowse".into(),
        "nosuid".into(),
        // Devices are on a devfs of their own there.
        "nodev".into(),
    ];
    line.push(match options.changes {
        Changes::Exclusive => "negnamecache".into(),
        // What the host adds is not seen for as long as its absence is remembered.
        Changes::Live => "nonegnamecache".into(),
    });
    line.extend(MACOS_DEFAULTS.map(String::from));
    vec!["-o".into(), line.join(","), device(source)]
}

#[cfg(test)]
mod tests {
    use super::{Changes, MountOptions, Recovery, linux, macos};
    use crate::Source;

    fn source() -> Source {
        Source { addr: "127.0.0.1:40123".parse().unwrap(), export: "/3f9a".into(), namespace: None }
    }

    #[test]
    fn linux_line_of_an_exclusive_mount() {
        insta::assert_snapshot!(linux(&source(), &MountOptions::default(), Recovery::Hard), @"vers=3,proto=tcp,addr=127.0.0.1,port=40123,mountvers=3,mountproto=tcp,mountaddr=127.0.0.1,mountport=40123,sec=sys,nolock,local_lock=all,noacl,nosharecache,hard,timeo=6000,retrans=1,rsize=1048576,wsize=1048576,bsize=4096,actimeo=3600,lookupcache=all,nocto");
    }

    #[test]
    fn linux_line_of_a_mount_that_the_host_changes_too() {
        insta::assert_snapshot!(linux(&source(), &MountOptions { changes: Changes::Live, ..MountOptions::default() }, Recovery::Softerr), @"vers=3,proto=tcp,addr=127.0.0.1,port=40123,mountvers=3,mountproto=tcp,mountaddr=127.0.0.1,mountport=40123,sec=sys,nolock,local_lock=all,noacl,nosharecache,softerr,timeo=900,retrans=1,rsize=1048576,wsize=1048576,bsize=4096,actimeo=1,lookupcache=all");
    }

    #[test]
    fn macos_arguments_of_an_exclusive_mount() {
        insta::assert_debug_snapshot!(macos(&source(), &MountOptions::default()), @r#"
        [
            "-o",
            "vers=3,proto=tcp,port=40123,mountport=40123,sec=sys,locallocks,hard,intr,deadtimeout=600,rdirplus,noquota,mutejukebox,retrycnt=0,rsize=524288,wsize=524288,readahead=16,dsize=65536,actimeo=3600,nobrowse,nosuid,nodev,negnamecache,rw,exec,owners,nounion,noquarantine,nosync,noasync,nonfc,opaque_auth,maxgroups=16,nomntudp,noresvport,nobg",
            "127.0.0.1:/3f9a",
        ]
        "#);
    }

    #[test]
    fn macos_arguments_of_a_mount_that_the_host_changes_too() {
        insta::assert_debug_snapshot!(macos(&source(), &MountOptions { changes: Changes::Live, ..MountOptions::default() }), @r#"
        [
            "-o",
            "vers=3,proto=tcp,port=40123,mountport=40123,sec=sys,locallocks,hard,intr,deadtimeout=600,rdirplus,noquota,mutejukebox,retrycnt=0,rsize=524288,wsize=524288,readahead=16,dsize=65536,actimeo=1,nobrowse,nosuid,nodev,nonegnamecache,rw,exec,owners,nounion,noquarantine,nosync,noasync,nonfc,opaque_auth,maxgroups=16,nomntudp,noresvport,nobg",
            "127.0.0.1:/3f9a",
        ]
        "#);
    }
}
