//! The files of this machine that a program read: with their hashes, one machine can be compared with another.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use nfs_server::view::{FileUsage, path_text};
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::EntryReport;

/// How much is hashed of all files together when somebody asks for it, in bytes.
pub const HASHED_MAX: u64 = 1 << 30;

/// The same for a report that nobody asks for yet.
pub const HASHED_BY_THE_WAY: u64 = 32 << 20;

/// How much is hashed at once.
const PIECE: usize = 64 << 10;

/// A file that a program read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFile {
    /// Where it is in the view.
    #[serde(with = "path_text")]
    pub path: PathBuf,
    /// Bytes that were read of it.
    pub bytes_read: u64,
    /// What it contains now, as SHA-256 in hexadecimal digits. None if it is gone, or there was too much to hash.
    pub sha256: Option<String>,
}

/// Each file with its hash, as long as they have no more than `hashed_max` bytes together.
pub fn of(files: &[FileUsage], entries: &[EntryReport], hashed_max: u64) -> Vec<HostFile> {
    let mut left = hashed_max;
    let mut hashed = |path: &Path| {
        // The one that lies deepest.
        let entry = entries.iter().rev().find(|entry| path.starts_with(&entry.usage.at))?;
        let below = path.strip_prefix(&entry.usage.at).ok()?;
        let file = open_below(&entry.source, below).ok()?;
        let size = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
        left = left.checked_sub(size)?;
        hash(file.take(size)).ok()
    };
    let report = |file: &FileUsage| {
        let sha256 = hashed(&file.path);
        HostFile { path: file.path.clone(), bytes_read: file.bytes_read, sha256 }
    };
    files.iter().map(report).collect()
}

fn hash(mut file: impl Read) -> io::Result<String> {
    let (mut hasher, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(HEXLOWER.encode(&hasher.finalize())),
            count => hasher.update(&piece[..count]),
        }
    }
}

/// Opens a file below what was shown, and follows no link on the way: others may have put one there meanwhile.
fn open_below(source: &Path, below: &Path) -> io::Result<File> {
    // A pipe would wait for somebody to write to it.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let mut at: OwnedFd = open(source, flags, Mode::empty())?;
    for name in below {
        at = openat(&at, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    }
    Ok(at.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nfs_server::view::EntryUsage;

    use super::super::EntryKind;
    use super::*;

    fn entry(at: &str, source: &Path) -> EntryReport {
        let usage = EntryUsage { at: at.into(), ..EntryUsage::default() };
        EntryReport { source: source.into(), kind: EntryKind::ReadOnly, used: true, usage }
    }

    #[test]
    fn files_have_the_hash_of_what_they_contain() {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir(host.path().join("deep")).unwrap();
        fs::write(host.path().join("deep/file"), "abc").unwrap();
        fs::write(host.path().join("alone"), "").unwrap();
        let entries = [entry("/alone", &host.path().join("alone")), entry("/tree", host.path())];
        let file = |path: &str| FileUsage { path: path.into(), bytes_read: 1 };
        let found = of(&[file("/tree/deep/file"), file("/alone"), file("/tree/gone")], &entries, HASHED_MAX);
        let hashes: Vec<_> = found.iter().map(|file| file.sha256.as_deref()).collect();
        // FIPS 180-2, appendix B.1, and of nothing.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(hashes, [Some(abc), Some(nothing), None]);
    }

    #[test]
    fn no_link_and_no_pipe_is_opened() {
        let host = tempfile::tempdir().unwrap();
        fs::create_dir(host.path().join("real")).unwrap();
        fs::write(host.path().join("real/file"), "secret").unwrap();
        std::os::unix::fs::symlink("real", host.path().join("link")).unwrap();
        std::os::unix::fs::symlink("real/file", host.path().join("to-file")).unwrap();
        nix::unistd::mkfifo(&host.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let file = |path: &str| FileUsage { path: path.into(), bytes_read: 1 };
        let files = [file("/tree/link/file"), file("/tree/to-file"), file("/tree/pipe")];
        let found = of(&files, &[entry("/tree", host.path())], HASHED_MAX);
        assert!(found.iter().all(|file| file.sha256.is_none()), "{found:?}");
    }
}
