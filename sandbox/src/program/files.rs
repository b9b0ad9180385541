//! Where programs are read from: the host, or a view.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nfs_server::view::{FileType, View};

/// A tree of files, symbolic links followed inside it.
pub(super) trait FileSource {
    /// The path of a regular file without symbolic links, if there is such a file.
    fn resolve(&self, path: &Path) -> Option<PathBuf>;

    /// Whether there is anything, a directory for example.
    fn exists(&self, path: &Path) -> bool;

    /// The permission bits of a file.
    fn mode(&self, path: &Path) -> u32;

    /// The contents of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, String>;
}

/// Bytes of the largest program that is looked into: a sparse file has as many as it likes.
const READ_MAX: u64 = 2 << 30;

/// This machine's own files.
pub(super) struct Host;

impl FileSource for Host {
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok().filter(|path| path.is_file())
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn mode(&self, path: &Path) -> u32 {
        path.metadata().map_or(0, |metadata| metadata.permissions().mode())
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let mut contents = Vec::new();
        let file = File::open(path).map_err(|error| error.to_string())?;
        file.take(READ_MAX + 1).read_to_end(&mut contents).map_err(|error| error.to_string())?;
        if contents.len() as u64 > READ_MAX {
            Err("it is larger than any program".into())
        } else {
            Ok(contents)
        }
    }
}

impl FileSource for View {
    fn resolve(&self, path: &Path) -> Option<PathBuf> {
        self.find(path)
            .ok()
            .filter(|found| found.attributes.kind == FileType::Regular)
            .map(|found| found.path)
    }

    fn exists(&self, path: &Path) -> bool {
        self.find(path).is_ok()
    }

    fn mode(&self, path: &Path) -> u32 {
        self.find(path).map_or(0, |found| found.attributes.mode)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        self.read_file(path).map_err(|error| error.to_string())
    }
}
