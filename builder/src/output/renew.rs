//! Copies outputs to files of their own, so that no descriptor that a build has handed to others is one of theirs.
//!
//! Where a build wrote to the host's own files (every backend but a server's), a process outside that was sent a descriptor
//! through a socket can write to them for as long as it lives, whatever becomes of their modes and owners
//! (CVE-2024-27297 of Nix). So what is hashed and registered is a copy, which was made when nothing of the build was left.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fchmod, mkdirat};
use nix::unistd::{Gid, LinkatFlags, Uid, UnlinkatFlags, fchown, fchownat, linkat, symlinkat, unlinkat};

use super::OutputError;
use super::tree::{self, Kind, TreeError};
use crate::plan::{Plan, PlannedOutput};

/// Where files of several names are kept while not all of their names are made. No output is called so.
const LINKED: &str = ".linked";

/// The bits of a mode that are copied: no set-id bits, which a store has not.
const MODE: libc::mode_t = 0o1777;

/// Copies trees that one build user has made from one directory to another, which nobody else can have open.
#[derive(Debug)]
pub struct Renewer {
    uid: u32,
    from: OwnedFd,
    to: OwnedFd,
    linked: Option<OwnedFd>,
    /// Names there of files that have several names, which may be in several trees.
    names: HashMap<(u64, u64), OsString>,
}

impl Renewer {
    /// From the directory that `uid` has written to, to an empty one.
    ///
    /// # Errors
    /// Of dup(2).
    pub fn new(uid: u32, from: &OwnedFd, to: &OwnedFd) -> std::io::Result<Renewer> {
        let (from, to) = (from.try_clone()?, to.try_clone()?);
        Ok(Renewer { uid, from, to, linked: None, names: HashMap::new() })
    }

    /// Copies the tree at a name.
    ///
    /// # Errors
    /// When something in it is of a kind that a store cannot hold, belongs to somebody else, or cannot be copied.
    pub fn copy(&mut self, name: &str) -> Result<(), TreeError> {
        let (from, to) = (self.from.as_fd().try_clone_to_owned(), self.to.as_fd().try_clone_to_owned());
        let failed = |error| TreeError::new(Path::new(name), "open", error);
        self.entry(&from.map_err(failed)?, &to.map_err(failed)?, name.as_ref(), &PathBuf::from(name), 0)
    }

    /// Ends it: all names are made.
    ///
    /// # Errors
    /// When what was kept aside cannot be removed.
    pub fn finish(self) -> Result<(), TreeError> {
        let Some(linked) = self.linked else { return Ok(()) };
        let failed = |error: Errno| TreeError::new(Path::new(LINKED), "remove", error);
        for name in self.names.values() {
            unlinkat(&linked, name.as_os_str(), UnlinkatFlags::NoRemoveDir).map_err(failed)?;
        }
        unlinkat(&self.to, LINKED, UnlinkatFlags::RemoveDir).map_err(failed)
    }

    fn entry(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        path: &Path,
        depth: usize,
    ) -> Result<(), TreeError> {
        if tree::is_too_deep(depth) {
            return Err(TreeError::Depth { path: path.into() });
        }
        let failed = |error: Errno| TreeError::new(path, "copy", error);
        let stat = tree::stat(from, name).map_err(|error| TreeError::new(path, "look at", error))?;
        if stat.st_uid != self.uid {
            return Err(TreeError::Owner { path: path.into(), uid: stat.st_uid });
        }
        match Kind::of(&stat) {
            Kind::Other => Err(TreeError::Kind { path: path.into() }),
            Kind::Symlink => {
                let target = readlinkat(from, name).map_err(failed)?;
                symlinkat(target.as_os_str(), to, name).map_err(failed)?;
                let (uid, gid) = owner(&stat);
                fchownat(to, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW).map_err(failed)
            }
            Kind::File if stat.st_nlink > 1 => self.linked_file(from, to, name, path, &stat),
            Kind::File => copy_file(from, (to, name), name, path, &stat),
            Kind::Directory => {
                let opened = tree::open(from, name, &stat, path)?;
                mkdirat(to, name, Mode::S_IRWXU).map_err(failed)?;
                let made = openat(to, name, tree::DIRECTORY, Mode::empty()).map_err(failed)?;
                for child in tree::names(&opened, path)? {
                    self.entry(&opened, &made, &child, &path.join(&child), depth + 1)?;
                }
                set_attributes(&made, &stat).map_err(failed)
            }
        }
    }

    /// The first name of a file makes a copy, and each of them a link to it.
    fn linked_file(
        &mut self,
        from: &OwnedFd,
        to: &OwnedFd,
        name: &OsStr,
        path: &Path,
        stat: &FileStat,
    ) -> Result<(), TreeError> {
        let failed = |error: Errno| TreeError::new(path, "copy", error);
        #[allow(clippy::unnecessary_cast, reason = "the fields' widths differ between systems")]
        let inode = (stat.st_dev as u64, stat.st_ino);
        let linked = match &self.linked {
            Some(linked) => linked,
            None => {
                mkdirat(&self.to, LINKED, Mode::S_IRWXU).map_err(failed)?;
                let opened = openat(&self.to, LINKED, tree::DIRECTORY, Mode::empty()).map_err(failed)?;
                self.linked.insert(opened)
            }
        };
        let kept = match self.names.get(&inode) {
            Some(kept) => kept,
            None => {
                let kept = OsString::from(self.names.len().to_string());
                copy_file(from, (linked, &kept), name, path, stat)?;
                self.names.entry(inode).or_insert(kept)
            }
        };
        linkat(linked, kept.as_os_str(), to, name, LinkatFlags::empty()).map_err(failed)
    }
}

/// Copies outputs to a directory that is made for them.
pub(crate) fn copy_all(
    outputs: &[&PlannedOutput],
    plan: &Plan,
    copies: &Path,
) -> Result<OwnedFd, OutputError> {
    let written = super::open_directory(&plan.scratch.store)?;
    let failed = |source| OutputError::Copies { path: copies.into(), source };
    DirBuilder::new().mode(0o700).create(copies).map_err(failed)?;
    let to = super::open_directory(copies)?;
    let mut renewer = Renewer::new(plan.jail.user.uid, &written, &to).map_err(failed)?;
    for output in outputs {
        let in_tree = |source| OutputError::Tree { output: output.name.clone(), source };
        renewer.copy(output.path.base()).map_err(in_tree)?;
    }
    renewer.finish().map_err(|error| failed(std::io::Error::other(error)))?;
    Ok(to)
}

fn copy_file(
    from: &OwnedFd,
    (to, to_name): (&OwnedFd, &OsStr),
    name: &OsStr,
    path: &Path,
    stat: &FileStat,
) -> Result<(), TreeError> {
    let failed = |error: Errno| TreeError::new(path, "copy", error);
    let opened = tree::open(from, name, stat, path)?;
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let new = File::from(openat(to, to_name, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(failed)?);
    sandbox::copy_contents(opened.as_fd(), new.as_fd())
        .map_err(|error| TreeError::new(path, "copy", error))?;
    set_attributes(&new, stat).map_err(failed)
}

/// The owner first: a change of owner takes bits from the mode.
fn set_attributes(new: impl AsFd, stat: &FileStat) -> Result<(), Errno> {
    let (uid, gid) = owner(stat);
    fchown(&new, uid, gid)?;
    fchmod(&new, Mode::from_bits_truncate(stat.st_mode & MODE))
}

/// Whom a copy is given to: whoever copies has made it, and may not be allowed to give it to anybody else.
fn owner(stat: &FileStat) -> (Option<Uid>, Option<Gid>) {
    let is_ours = stat.st_uid == Uid::effective().as_raw() && !Uid::effective().is_root();
    if is_ours { (None, None) } else { (Some(stat.st_uid.into()), Some(stat.st_gid.into())) }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions, Permissions};
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::super::tree::MAX_DEPTH;
    use super::*;

    struct World {
        place: tempfile::TempDir,
    }

    impl World {
        fn new() -> World {
            let place = tempfile::tempdir().unwrap();
            for name in ["from", "to"] {
                fs::create_dir(place.path().join(name)).unwrap();
            }
            World { place }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.place.path().join(name)
        }

        fn copy(&self, names: &[&str]) -> Result<(), TreeError> {
            let open = |name| OwnedFd::from(File::open(self.path(name)).unwrap());
            let mut renewer = Renewer::new(Uid::effective().as_raw(), &open("from"), &open("to")).unwrap();
            names.iter().try_for_each(|name| renewer.copy(name))?;
            renewer.finish()
        }
    }

    #[test]
    fn who_has_a_descriptor_of_what_was_copied_changes_nothing_of_the_copy() {
        let world = World::new();
        let large = vec![b'g'; 200_000];
        for (name, good) in [("small", &b"good"[..]), ("large", &large)] {
            fs::write(world.path("from").join(name), good).unwrap();
            let mut kept = OpenOptions::new().write(true).open(world.path("from").join(name)).unwrap();
            world.copy(&[name]).unwrap();
            kept.write_all(b"evil").unwrap();
            assert!(fs::read(world.path("to").join(name)).unwrap() == good, "{name}");
            fs::remove_file(world.path("to").join(name)).unwrap();
        }
    }

    #[test]
    fn names_kinds_modes_and_links_are_kept() {
        let world = World::new();
        let from = world.path("from/out");
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("program"), "program").unwrap();
        fs::set_permissions(from.join("program"), Permissions::from_mode(0o4755)).unwrap();
        fs::hard_link(from.join("program"), from.join("inner/other")).unwrap();
        fs::hard_link(from.join("program"), world.path("from/dev")).unwrap();
        symlink("nowhere", from.join("link")).unwrap();
        fs::set_permissions(from.join("inner"), Permissions::from_mode(0o555)).unwrap();
        world.copy(&["out", "dev"]).unwrap();
        let to = world.path("to/out");
        let status = |path: PathBuf| path.symlink_metadata().unwrap();
        let one = status(to.join("program"));
        assert_eq!((one.mode() & 0o7777, one.nlink()), (0o755, 3), "set-id bits are not copied");
        assert_eq!(
            [status(to.join("inner/other")).ino(), status(world.path("to/dev")).ino()],
            [one.ino(); 2]
        );
        assert_ne!(one.ino(), status(from.join("program")).ino());
        assert_eq!(status(to.join("inner")).mode() & 0o7777, 0o555);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("nowhere"));
        assert_eq!(fs::read_dir(world.path("to")).unwrap().count(), 2, "nothing that was kept aside is left");
    }

    #[test]
    fn what_a_store_cannot_hold_is_refused() {
        let world = World::new();
        nix::unistd::mkfifo(&world.path("from/fifo"), Mode::S_IRWXU).unwrap();
        assert!(matches!(world.copy(&["fifo"]), Err(TreeError::Kind { .. })));
        fs::create_dir_all(world.path("from/deep").join(vec!["d"; MAX_DEPTH].join("/"))).unwrap();
        assert!(matches!(world.copy(&["deep"]), Err(TreeError::Depth { .. })));
    }
}
