//! Makes a tree canonical as Nix's `canonicalisePathMetaData` does: modes 0444 or 0555, time 1, owned by root.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, Mode, UtimensatFlags, fchmod, futimens, utimensat};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, unlinkat};

use super::mac_artifacts::{self, MacArtifact};
use super::tree::{self, Kind, TreeError};

/// The modification time of everything in a store, in seconds.
const STORE_TIME: i64 = 1;

/// Makes trees canonical that belong to one build user.
#[derive(Debug)]
pub struct Canonicaliser {
    uid: u32,
    /// What has been made canonical, and so belongs to root: a hard link to it is all right.
    seen: HashSet<(u64, u64)>,
    /// Whether what only a view on macOS leaves is looked for.
    mac: bool,
}

impl Canonicaliser {
    /// For trees that `uid` has made.
    #[must_use]
    pub fn new(uid: u32) -> Canonicaliser {
        Canonicaliser { uid, seen: HashSet::new(), mac: cfg!(target_os = "macos") }
    }

    /// Makes the tree at a name in a directory canonical.
    ///
    /// # Errors
    /// When something in it is of a kind that a store cannot hold, belongs to somebody else, or cannot be changed.
    pub fn run(&mut self, directory: &OwnedFd, name: &str) -> Result<(), TreeError> {
        self.entry(directory, name.as_ref(), &PathBuf::from(name), 0)
    }

    fn entry(
        &mut self,
        directory: &OwnedFd,
        name: &OsStr,
        path: &Path,
        depth: usize,
    ) -> Result<(), TreeError> {
        if tree::is_too_deep(depth) {
            return Err(TreeError::Depth { path: path.into() });
        }
        let stat = tree::stat(directory, name).map_err(|error| TreeError::new(path, "look at", error))?;
        let kind = Kind::of(&stat);
        if kind == Kind::Other {
            return Err(TreeError::Kind { path: path.into() });
        }
        #[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
        let inode = (stat.st_dev as u64, stat.st_ino);
        if stat.st_uid != self.uid || self.seen.contains(&inode) {
            // A file of somebody else, linked into the output, must not become the store's own.
            let ours = kind != Kind::Directory && self.seen.contains(&inode);
            return if ours { Ok(()) } else { Err(TreeError::Owner { path: path.into(), uid: stat.st_uid }) };
        }
        self.seen.insert(inode);
        match kind {
            Kind::Symlink => make_canonical_link(directory, name, path),
            _ => {
                let opened = tree::open(directory, name, &stat, path)?;
                match self.artifact(name, &opened, &stat, path)? {
                    Some(MacArtifact::Attributes) => return remove(directory, name, path),
                    Some(MacArtifact::SpecialFileMarker) => {
                        return Err(TreeError::Kind { path: path.into() });
                    }
                    None => {}
                }
                make_canonical(&opened, &stat, path)?;
                if kind == Kind::Directory { self.children(&opened, path, depth) } else { Ok(()) }
            }
        }
    }

    fn artifact(
        &self,
        name: &OsStr,
        opened: &OwnedFd,
        stat: &FileStat,
        path: &Path,
    ) -> Result<Option<MacArtifact>, TreeError> {
        if !self.mac {
            return Ok(None);
        }
        mac_artifacts::examine(name.as_bytes(), opened, stat)
            .map_err(|error| TreeError::new(path, "read", error))
    }

    fn children(&mut self, directory: &OwnedFd, path: &Path, depth: usize) -> Result<(), TreeError> {
        for name in tree::names(directory, path)? {
            self.entry(directory, &name, &path.join(&name), depth + 1)?;
        }
        Ok(())
    }
}

fn remove(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), TreeError> {
    unlinkat(directory, name, UnlinkatFlags::NoRemoveDir)
        .map_err(|error| TreeError::new(path, "remove", error))
}

fn make_canonical(opened: &OwnedFd, stat: &FileStat, path: &Path) -> Result<(), TreeError> {
    const EXECUTABLE: libc::mode_t = 0o100;
    let executable = Kind::of(stat) == Kind::Directory || stat.st_mode & EXECUTABLE != 0;
    let mode = Mode::from_bits_truncate(if executable { 0o555 } else { 0o444 });
    // The owner first: a change of owner takes bits from the mode.
    fchown(opened, Some(Uid::effective()), Some(Gid::effective()))
        .map_err(|error| TreeError::new(path, "change the owner of", error))?;
    fchmod(opened, mode).map_err(|error| TreeError::new(path, "change the mode of", error))?;
    futimens(opened, &TimeSpec::UTIME_OMIT, &TimeSpec::seconds(STORE_TIME))
        .map_err(|error| TreeError::new(path, "change the time of", error))
}

fn make_canonical_link(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), TreeError> {
    let (owner_of, time_of) = if Defence::OutputFiles.stands() {
        (AtFlags::AT_SYMLINK_NOFOLLOW, UtimensatFlags::NoFollowSymlink)
    } else {
        (AtFlags::empty(), UtimensatFlags::FollowSymlink)
    };
    fchownat(directory, name, Some(Uid::effective()), Some(Gid::effective()), owner_of)
        .map_err(|error| TreeError::new(path, "change the owner of", error))?;
    let (keep, time) = (TimeSpec::UTIME_OMIT, TimeSpec::seconds(STORE_TIME));
    utimensat(directory, name, &keep, &time, time_of)
        .map_err(|error| TreeError::new(path, "change the time of", error))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn canonicalise(mac: bool, files: &[(&str, &[u8])]) -> (Result<(), TreeError>, Vec<String>) {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("out")).unwrap();
        for (name, contents) in files {
            fs::write(place.path().join("out").join(name), contents).unwrap();
        }
        let directory = OwnedFd::from(File::open(place.path()).unwrap());
        let canonicaliser = Canonicaliser::new(Uid::effective().as_raw());
        let result = Canonicaliser { mac, ..canonicaliser }.run(&directory, "out");
        let names = fs::read_dir(place.path().join("out")).unwrap();
        let mut names: Vec<String> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        (result, names)
    }

    const ATTRIBUTES: &[u8] = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X";

    #[test]
    fn attributes_beside_files_are_dropped_on_macos_alone() {
        let files = [("file", &b"data"[..]), ("._file", ATTRIBUTES), ("._own", b"text")];
        let (result, names) = canonicalise(true, &files);
        assert!(result.is_ok());
        assert_eq!(names, ["._own", "file"]);
        let (result, names) = canonicalise(false, &files);
        assert!(result.is_ok());
        assert_eq!(names, ["._file", "._own", "file"]);
    }
}
