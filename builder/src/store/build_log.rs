//! The file in which `nix log` finds what a build wrote, compressed as Nix compresses it or as it came.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::write::BzEncoder;

use crate::store_path::StorePath;

/// Characters of a derivation's name that its directory is called by, so that none gets too many files.
const PREFIX: usize = 2;

/// Up to this length the smallest block size compresses as well as the largest, in bytes. The largest takes 7 MB of
/// memory, which most builds have no use for.
const SHORT: usize = 100_000;

/// A build's log could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot make {path:?}")]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

/// A log that is being written. It is a convenience: a build goes on without it, and it is told once that it ends too early.
pub struct BuildLog {
    path: PathBuf,
    sink: LogSink,
    failed: bool,
}

enum LogSink {
    Plain(BufWriter<File>),
    /// What is to be compressed is not long yet.
    Short(File, Vec<u8>),
    Compressed(Box<BzEncoder<BufWriter<File>>>),
}

/// The place of a derivation's log in the directory of all logs.
#[must_use]
pub fn log_path(logs: &Path, derivation: &StorePath, compressed: bool) -> PathBuf {
    let (directory, name) = derivation.base().split_at(PREFIX);
    logs.join("drvs").join(directory).join(format!("{name}{}", if compressed { ".bz2" } else { "" }))
}

impl BuildLog {
    /// Makes a derivation's log anew, with the modes that Nix's own logs have.
    pub(super) fn create(
        logs: &Path,
        derivation: &StorePath,
        compressed: bool,
    ) -> Result<BuildLog, LogError> {
        let path = log_path(logs, derivation, compressed);
        let open = || {
            fs::create_dir_all(path.parent().unwrap_or(logs))?;
            let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&path)?;
            // Of an earlier build with another setting; there would be two to choose from.
            match fs::remove_file(log_path(logs, derivation, !compressed)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(file),
            }
        };
        let file = open().map_err(|source| LogError { path: path.clone(), source })?;
        let sink =
            if compressed { LogSink::Short(file, Vec::new()) } else { LogSink::Plain(BufWriter::new(file)) };
        Ok(BuildLog { path, sink, failed: false })
    }

    /// Adds bytes.
    pub fn write(&mut self, bytes: &[u8]) {
        if self.failed {
            return;
        }
        let written = match &mut self.sink {
            LogSink::Plain(file) => file.write_all(bytes).and_then(|()| file.flush()),
            LogSink::Short(_, text) if text.len() + bytes.len() <= SHORT => {
                text.extend_from_slice(bytes);
                Ok(())
            }
            LogSink::Short(..) => self.compress(Compression::best(), bytes),
            LogSink::Compressed(encoder) => encoder.write_all(bytes),
        };
        self.note(written);
    }

    /// Writes what has not been written yet.
    pub fn finish(mut self) {
        if let LogSink::Short(..) = self.sink {
            let compressed = self.compress(Compression::fast(), &[]);
            self.note(compressed);
        }
        if let LogSink::Compressed(encoder) = &mut self.sink {
            let ended = encoder.try_finish().and_then(|()| encoder.get_mut().flush());
            self.note(ended);
        }
    }

    fn note(&mut self, written: io::Result<()>) {
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!(%error, "the log of a build is not complete: {:?}", self.path);
        }
    }

    /// Begins to compress what is there and what comes now.
    fn compress(&mut self, how: Compression, more: &[u8]) -> io::Result<()> {
        let LogSink::Short(file, text) = &self.sink else { return Ok(()) };
        let mut encoder = BzEncoder::new(BufWriter::new(file.try_clone()?), how);
        encoder.write_all(text)?;
        encoder.write_all(more)?;
        self.sink = LogSink::Compressed(Box::new(encoder));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_log_is_where_nix_looks_for_it_and_takes_the_place_of_an_older_one() {
        let logs = tempfile::tempdir().unwrap();
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        let plain = logs.path().join("drvs/86/vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv");
        let compressed = plain.with_extension("drv.bz2");
        let write = |compressed| {
            let mut log = BuildLog::create(logs.path(), &derivation, compressed).unwrap();
            log.write(b"words");
            log.finish();
        };
        write(false);
        assert_eq!(fs::read(&plain).unwrap(), b"words");
        write(true);
        assert!(!plain.exists());
        let mut text = String::new();
        bzip2::read::BzDecoder::new(File::open(&compressed).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, "words");
        write(false);
        assert!(!compressed.exists() && plain.exists());
    }

    #[test]
    fn a_log_of_any_length_is_compressed_whole() {
        let logs = tempfile::tempdir().unwrap();
        let derivation = StorePath::new("86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv").unwrap();
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 3 * SHORT] {
            let written: Vec<u8> = (0..length).map(|number| (number % 251) as u8).collect();
            let mut log = BuildLog::create(logs.path(), &derivation, true).unwrap();
            written.chunks(999).for_each(|chunk| log.write(chunk));
            log.finish();
            let mut read = Vec::new();
            let file = File::open(log_path(logs.path(), &derivation, true)).unwrap();
            bzip2::read::BzDecoder::new(file).read_to_end(&mut read).unwrap();
            assert!(read == written, "{length} bytes");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_log_that_cannot_be_written_ends_there() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let mut log =
            BuildLog { path: "/dev/full".into(), sink: LogSink::Plain(BufWriter::new(full)), failed: false };
        log.write(b"words");
        assert!(log.failed);
        log.write(b"more");
        log.finish();
    }
}
