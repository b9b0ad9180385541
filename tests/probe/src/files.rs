//! Every file that can be found from the root, but for what the kernel or the store brings of its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, lstat, major, minor};
use sha2::{Digest, Sha256};

use crate::report::{Report, answer, errno, moment, printable};

/// Where the walk from the root does not go in: the kernel's own trees, and the store, which is listed.
const CLOSED: [&str; 3] = ["/proc", "/sys", "/nix/store"];
/// Contents up to this many bytes are shown as they are.
const SHORT: usize = 200;
/// How deep the walk goes, in case something leads round.
const DEPTH: usize = 20;

pub fn look(report: &mut Report, shown: &[PathBuf]) {
    walk(report, Path::new("/"), 0);
    let mut names: Vec<PathBuf> = entries(Path::new("/nix/store")).unwrap_or_default();
    names.sort();
    for path in &names {
        one(report, path);
    }
    for path in shown {
        walk(report, path, 0);
    }
}

fn walk(report: &mut Report, path: &Path, depth: usize) {
    one(report, path);
    if depth == DEPTH || CLOSED.iter().any(|closed| path == Path::new(closed)) || !is_directory(path) {
        return;
    }
    match entries(path) {
        Ok(entries) => entries.iter().for_each(|entry| walk(report, entry, depth + 1)),
        Err(errno) => report.put("file", format!("{} listed", path.display()), format!("{errno:?}")),
    }
}

fn is_directory(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
}

fn entries(path: &Path) -> nix::Result<Vec<PathBuf>> {
    Ok(errno(fs::read_dir(path))?.flatten().map(|entry| entry.path()).collect())
}

fn one(report: &mut Report, path: &Path) {
    let stat = match lstat(path) {
        Ok(stat) => stat,
        Err(errno) => return report.put("file", path, format!("{errno:?}")),
    };
    report.put("file", path, describe(&stat));
    let value = |report: &mut Report, what: &str, value: String| {
        report.put("file", format!("{} {what}", path.display()), value);
    };
    // Those of /proc count the machine's processes.
    if path != Path::new("/proc") {
        value(report, "links", stat.st_nlink.to_string());
    }
    value(report, "block", stat.st_blksize.to_string());
    value(report, "changed", moment(stat.st_mtime, stat.st_mtime_nsec));
    value(
        report,
        "size",
        if stat.st_mode & libc::S_IFMT == libc::S_IFDIR { "-".into() } else { stat.st_size.to_string() },
    );
    if stat.st_mode & libc::S_IFMT == libc::S_IFREG {
        value(report, "contents", answer(errno(fs::read(path)).map(|bytes| contents(&bytes))));
    }
    if let Ok(target) = fs::read_link(path) {
        value(report, "target", printable(target.as_os_str()));
    }
}

/// Type, mode, owner and device of a file.
pub fn describe(stat: &FileStat) -> String {
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => "directory",
        libc::S_IFLNK => "link",
        libc::S_IFREG => "file",
        libc::S_IFCHR => "character device",
        libc::S_IFBLK => "block device",
        libc::S_IFIFO => "pipe",
        libc::S_IFSOCK => "socket",
        _ => "unknown",
    };
    let device = match (stat.st_mode & libc::S_IFMT, minor(stat.st_rdev)) {
        // Which of the machine's terminals it is, is nobody's doing.
        (libc::S_IFCHR, _) if is_terminal(stat) => " terminal".into(),
        (libc::S_IFCHR | libc::S_IFBLK, minor) => format!(" {}:{minor}", major(stat.st_rdev)),
        _ => String::new(),
    };
    format!("{kind} {:04o} {}:{}{device}", stat.st_mode & 0o7777, stat.st_uid, stat.st_gid)
}

/// A pseudo-terminal (`UNIX98_PTY_SLAVE_MAJOR` of `linux/major.h`).
fn is_terminal(stat: &FileStat) -> bool {
    (136..=143).contains(&major(stat.st_rdev))
}

fn contents(bytes: &[u8]) -> String {
    if bytes.len() <= SHORT {
        return printable(OsStr::from_bytes(bytes));
    }
    let hash: String = Sha256::digest(bytes).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("{} bytes {hash}", bytes.len())
}
