//! What every program on a Mac needs of the system, in every entry mode.

use std::path::{Path, PathBuf};

use mounter::jail::EntryMode;
use nfs_server::view::Entry;

/// What every program needs of the system: its libraries, of which most are in a shared cache alone, and what these
/// read. Not all of `/System`, which has everybody's files below its `Volumes`.
const SYSTEM: [&str; 10] = [
    "/Library/Apple/System/Library/LaunchDaemons/com.apple.oahd.plist",
    "/Library/Apple/usr/libexec/oah",
    "/System/Library",
    "/private/var/db/timezone",
    "/private/var/select/sh",
    "/usr/lib",
    "/usr/libexec/oah",
    "/usr/share/icu",
    "/usr/share/locale",
    "/usr/share/zoneinfo",
];

/// Where the shared cache is, as the system's own root has it.
const CACHE: [&str; 2] = ["/System/Cryptexes", "/System/Volumes/Preboot/Cryptexes"];

/// The directories of its files, the one of macOS 13 and later first.
pub const CACHE_DIRECTORIES: [&str; 2] =
    ["/System/Volumes/Preboot/Cryptexes/OS/System/Library/dyld", "/System/Library/dyld"];

/// Where dyld looks for it first, and where the system's disk image is attached.
pub const CRYPTEX: &str = "/System/Cryptexes/OS";

/// Links of the system's root, all to the same names in one place.
const LINKS: [&str; 3] = ["etc", "tmp", "var"];
/// Where they lead.
pub const PRIVATE: &str = "/private";

/// Host paths that everything on a Mac sees.
#[must_use]
pub fn system_paths(mode: EntryMode) -> Vec<PathBuf> {
    let cache: &[&str] = if mode == EntryMode::Cryptex { &[] } else { &CACHE };
    let mut paths: Vec<PathBuf> = SYSTEM.iter().chain(cache).map(PathBuf::from).collect();
    paths.sort();
    paths
}

/// The links of the system's root.
#[must_use]
pub fn links() -> Vec<Entry> {
    let link = |name: &str| {
        let at = Path::new("/").join(name);
        Entry::Symlink { at, target: Path::new("private").join(name) }
    };
    LINKS.map(link).into()
}

/// A path as it is called when the links of the system's root have been followed.
#[must_use]
pub fn beyond_links(path: &Path) -> PathBuf {
    let linked = LINKS.iter().any(|name| path.starts_with(Path::new("/").join(name)));
    let below = path.strip_prefix("/").ok().filter(|_| linked);
    below.map_or_else(|| path.into(), |below| Path::new(PRIVATE).join(below))
}
