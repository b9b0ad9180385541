//! What every command finds in its view unless the caller shows something else there.

use std::path::{Path, PathBuf};

use nfs_server::view::{Entry, Owner};

/// Where programs are looked for inside when nothing of the caller's own PATH is there.
pub const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// Devices that only compute: name and minor number; the major number is 1 (`memory`) but for `tty`.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

const DEVICE_LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// The default entries; `tmp` is the host side of /tmp.
pub fn entries(user: Owner, hostname: &str, tmp: &Path) -> Vec<Entry> {
    let directory = |at: &str, mode| Entry::Directory { at: at.into(), mode, owner: Owner::default() };
    let file = |at: &str, contents: String| Entry::Inline { at: at.into(), contents, mode: 0o444 };
    let in_dev = |name: &str| Path::new("/dev").join(name);
    let mut entries = vec![
        directory("/proc", 0o555),
        directory("/dev", 0o755),
        directory("/dev/pts", 0o755),
        directory("/dev/shm", 0o1777),
        Entry::Scratch { at: "/tmp".into(), source: tmp.into(), mode: 0o1777, owner: user },
    ];
    entries.extend(etc(user, hostname).map(|(name, contents)| file(&format!("/etc/{name}"), contents)));
    entries.extend(DEVICES.map(|(name, major, minor)| Entry::Device {
        at: in_dev(name),
        major,
        minor,
        mode: 0o666,
        owner: Owner::default(),
    }));
    entries.extend(
        DEVICE_LINKS.map(|(name, target)| Entry::Symlink { at: in_dev(name), target: target.into() }),
    );
    entries
}

/// Files of /etc.
pub fn etc(user: Owner, hostname: &str) -> [(&'static str, String); 3] {
    let hosts = format!("127.0.0.1 localhost {hostname}\n::1 localhost\n");
    [("passwd", passwd(user)), ("group", group(user)), ("hosts", hosts)]
}

/// Leaves out the default entries that the caller's own take the place of: at the same path, below something that
/// holds no entries, or above something of the caller's.
pub fn without_replaced(defaults: Vec<Entry>, own: &[Entry]) -> Vec<Entry> {
    let replaces = |own: &Entry, default: &Entry| {
        let holds = matches!(own, Entry::Directory { .. } | Entry::Scratch { .. });
        let default_holds = matches!(default, Entry::Directory { .. } | Entry::Scratch { .. });
        own.at() == default.at()
            || (!holds && default.at().starts_with(own.at()))
            || (!default_holds && own.at().starts_with(default.at()))
    };
    defaults.into_iter().filter(|default| !own.iter().any(|own| replaces(own, default))).collect()
}

/// Whether something can be mounted there: a directory of the view, or one of the host below a graft.
pub fn is_directory(entries: &[Entry], at: &str) -> Option<PathBuf> {
    let at = Path::new(at);
    entries
        .iter()
        .any(|entry| match entry {
            Entry::Directory { at: place, .. } | Entry::Scratch { at: place, .. } => place == at,
            Entry::Graft { at: place, source, .. } => {
                at.strip_prefix(place).is_ok_and(|rest| source.join(rest).is_dir())
            }
            _ => false,
        })
        .then(|| at.into())
}

/// Whether a directory has something in it that is in the view, as far as can be told without opening that.
pub fn shows_directory(entries: &[Entry], at: &Path) -> bool {
    let link = |entry: &Entry| matches!(entry, Entry::Symlink { at: place, .. } if place == at);
    entries.iter().any(|entry| (entry.at().starts_with(at) && entry.at() != at) || link(entry))
        || is_directory(entries, &at.to_string_lossy()).is_some()
}

fn passwd(user: Owner) -> String {
    let mut text = String::from("root:x:0:0:root:/root:/bin/sh\n");
    if user.uid != 0 && user.uid != NOBODY {
        text += &format!("user:x:{}:{}:user:/tmp:/bin/sh\n", user.uid, user.gid);
    }
    text + &format!("nobody:x:{NOBODY}:{NOBODY}:nobody:/:/bin/false\n")
}

fn group(user: Owner) -> String {
    let mut text = String::from("root:x:0:\n");
    if user.gid != 0 && user.gid != NOBODY {
        text += &format!("user:x:{}:\n", user.gid);
    }
    text + &format!("nogroup:x:{NOBODY}:\n")
}

/// The number that stands for users who have none in a namespace (`/proc/sys/kernel/overflowuid`).
const NOBODY: u32 = 65534;
