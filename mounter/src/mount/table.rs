//! The kernel's table of mounts (proc_pid_mountinfo(5)): read without looking at any of them.
//!
//! The crate `procfs` leaves octal escapes as they are, and reads no table in which a path is not UTF-8.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// One line of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MountEntry {
    /// The mount point.
    pub(crate) at: PathBuf,
    /// The file system's type.
    pub(crate) kind: String,
    /// The source of the mount.
    pub(crate) device: OsString,
}

/// This process's mounts, later ones last.
pub(crate) fn read() -> io::Result<Vec<MountEntry>> {
    Ok(parse(&fs::read("/proc/self/mountinfo")?))
}

/// The mounts that another process sees.
pub(crate) fn read_of(pid: u32) -> io::Result<Vec<MountEntry>> {
    Ok(parse(&fs::read(format!("/proc/{pid}/mountinfo"))?))
}

/// The path as the table writes it. The last name is not resolved, for it may be a mount whose server is dead.
pub(crate) fn resolve(at: &Path) -> PathBuf {
    let parent = at.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), at.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => at.to_path_buf(),
    }
}

fn parse(table: &[u8]) -> Vec<MountEntry> {
    table.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

/// Fields before the optional ones are at fixed places; type and device are the first after the lone hyphen.
fn entry(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let at = PathBuf::from(OsString::from_vec(unescape(fields.nth(4)?)));
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(rest.next()?).into_owned();
    Some(MountEntry { at, kind, device: OsString::from_vec(unescape(rest.next()?)) })
}

/// Space, tab, newline and backslash are written as a backslash and three octal digits.
pub(super) fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, octal(after)) {
            (b'\\', Some(value)) => {
                plain.push(value);
                rest = &after[3..];
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

fn octal(bytes: &[u8]) -> Option<u8> {
    let digits = bytes.get(..3).filter(|digits| digits.iter().all(|digit| (b'0'..=b'7').contains(digit)))?;
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::{MountEntry, parse, read};

    #[test]
    fn optional_fields_and_escapes_are_understood() {
        let table = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
            90 27 0:50 / /mnt/a\\040b\\134c rw,nosuid shared:1 master:2 - nfs 127.0.0.1:/x rw,vers=3\n";
        let expected = vec![
            MountEntry { at: "/proc".into(), kind: "proc".into(), device: "proc".into() },
            MountEntry { at: "/mnt/a b\\c".into(), kind: "nfs".into(), device: "127.0.0.1:/x".into() },
        ];
        assert_eq!(parse(table), expected);
    }

    #[test]
    fn lines_that_are_cut_short_are_left_out() {
        assert_eq!(parse(b"22 27 0:21 /\n22 27 0:21 / /x rw -\n\n"), vec![]);
    }

    #[test]
    fn this_machine_has_proc_mounted() {
        assert!(read().unwrap().iter().any(|entry| entry.at.as_os_str() == "/proc" && entry.kind == "proc"));
    }
}
