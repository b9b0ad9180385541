//! Opens host paths that are shown, safely against paths being replaced meanwhile.
//!
//! Symbolic links on the way to a source are resolved once, when it is declared; from then on it is opened one component at
//! a time, following none.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// A directory on the way, which need not be readable.
#[cfg(target_os = "linux")]
const ON_THE_WAY: OFlag = OFlag::O_PATH;
#[cfg(not(target_os = "linux"))]
const ON_THE_WAY: OFlag = OFlag::O_RDONLY;

/// The directory that the last source was in: most are in the store, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Sources(Option<(PathBuf, Arc<OwnedFd>)>);

impl Sources {
    /// The directory that a source is in, and its name there. The root is in itself.
    pub(crate) fn holder<'a>(&mut self, source: &'a Path) -> io::Result<(Arc<OwnedFd>, &'a OsStr)> {
        let (holder, name) = source.parent().zip(source.file_name()).unwrap_or((source, ".".as_ref()));
        let directory = match &self.0 {
            Some((path, directory)) if path == holder => Arc::clone(directory),
            _ => Arc::new(open(holder)?),
        };
        self.0 = Some((holder.into(), Arc::clone(&directory)));
        Ok((directory, name))
    }
}

fn open(directory: &Path) -> io::Result<OwnedFd> {
    let flags = ON_THE_WAY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut opened = nix::fcntl::open("/", flags, Mode::empty())?;
    for name in directory.canonicalize()?.iter().skip(1) {
        opened = openat(&opened, name, flags, Mode::empty())?;
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    use nix::sys::stat::fstat;

    use super::*;

    #[test]
    fn a_source_is_found_through_links_in_whatever_directory_it_is() {
        let place = tempfile::tempdir().unwrap();
        let inode = |directory: Arc<OwnedFd>| fstat(directory).unwrap().st_ino;
        let mut sources = Sources::default();
        for name in ["one", "two"] {
            fs::create_dir(place.path().join(name)).unwrap();
            symlink(name, place.path().join(format!("link-to-{name}"))).unwrap();
        }
        for name in ["one", "one", "two", "one"] {
            let source = place.path().join(format!("link-to-{name}/file"));
            let (directory, file) = sources.holder(&source).unwrap();
            assert_eq!(inode(directory), fs::metadata(place.path().join(name)).unwrap().ino());
            assert_eq!(file, "file");
        }
        let (root, name) = sources.holder(Path::new("/")).unwrap();
        assert_eq!((inode(root), name), (fs::metadata("/").unwrap().ino(), OsStr::new(".")));
        assert!(sources.holder(&place.path().join("missing/file")).is_err());
    }
}
