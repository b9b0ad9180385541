//! Where the loaders of Linux look for a library, in their order (ld.so(8)).

use std::path::{Path, PathBuf};

use super::cache;
use super::elf::{self, ElfObject};
use super::files::FileSource;

/// The index of glibc's loader.
pub(crate) const CACHE: &str = "/etc/ld.so.cache";

/// Directories that loaders search when all else fails: glibc's as Debian and others set them, and musl's.
const DEFAULT: [&str; 11] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
    "/lib/i386-linux-gnu",
    "/usr/lib/i386-linux-gnu",
];

/// One search: what it depends on beside the library's name.
pub(super) struct Search<'a> {
    /// The tree.
    pub(super) files: &'a dyn FileSource,
    /// `LD_LIBRARY_PATH`.
    pub(super) library_path: &'a [PathBuf],
    /// The index, empty if there is none.
    pub(super) cache: &'a [u8],
    /// The object that needs the library, and the directory it is in.
    pub(super) object: &'a ElfObject,
    /// That directory.
    pub(super) origin: &'a Path,
    /// `DT_RPATH` of the objects that led here, their `$ORIGIN` replaced.
    pub(super) inherited: &'a [PathBuf],
}

impl Search<'_> {
    /// The path by which the loader opens the library.
    pub(super) fn find(&self, library: &str) -> Option<PathBuf> {
        if library.contains('/') {
            let path = expand(library, self.origin);
            return self.fits(&path).then_some(path);
        }
        let rpath = if self.object.runpath.is_empty() { self.rpath() } else { Vec::new() };
        let runpath = self.object.runpath.iter().map(|path| expand(path, self.origin));
        let in_directories = rpath
            .into_iter()
            .chain(self.library_path.iter().cloned())
            .chain(runpath)
            .map(|directory| directory.join(library));
        let in_cache = cache::lookup(self.cache, library).into_iter();
        let in_default = DEFAULT.iter().map(|directory| Path::new(directory).join(library));
        in_directories.chain(in_cache).chain(in_default).find(|path| self.fits(path))
    }

    /// This object's `DT_RPATH` and those of the objects that led to it: what its libraries inherit.
    pub(super) fn rpath(&self) -> Vec<PathBuf> {
        let own = self.object.rpath.iter().map(|path| expand(path, self.origin));
        own.chain(self.inherited.iter().cloned()).collect()
    }

    /// A loader skips files of another architecture.
    fn fits(&self, path: &Path) -> bool {
        let Some(real) = self.files.resolve(path) else { return false };
        let Ok(contents) = self.files.read(&real) else { return false };
        elf::parse(&contents).is_ok_and(|library| library.kind == self.object.kind)
    }
}

fn expand(path: &str, origin: &Path) -> PathBuf {
    let origin = origin.to_string_lossy();
    path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin).into()
}
