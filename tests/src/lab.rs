//! The lab: everything that tests and the demonstration download or make, under one directory in target/.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

use self::loopbox::Build;

pub mod apt;
pub mod browser;
pub mod cargo_deb;
pub mod checkers;
pub mod cross;
pub mod debian;
pub mod emulator;
pub mod foreign;
pub mod kernel;
pub mod llvm;
mod loopbox;
mod mark;
pub mod new_nix;
mod own;
pub mod packages;
pub mod pypi;
pub mod ssh;
pub mod store;
pub mod suites;
mod versions;

/// The directory of the lab that programs in a virtual machine can write to; nothing else of the host is.
const KEPT: &str = "kept";

/// Where things are kept. Every checkout has its own; nothing outside of it is changed but by `packages`.
#[derive(Clone, Debug)]
pub struct Lab {
    checkout: PathBuf,
    root: PathBuf,
    build: Build,
    /// The program `xtask`; this process's own file when missing.
    xtask: Option<PathBuf>,
}

impl Lab {
    /// The lab of the checkout that this program was built from.
    pub fn open() -> Result<Lab> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout =
            checkout.canonicalize().with_context(|| format!("no checkout at {}", checkout.display()))?;
        let root = checkout.join("target/loopbox-lab");
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Lab { checkout, root, build: Build::Release, xtask: None })
    }

    /// The source tree.
    pub fn checkout(&self) -> &Path {
        &self.checkout
    }

    /// A path in the lab; its directory is made.
    pub fn path(&self, relative: &str) -> Result<PathBuf> {
        let path = self.root.join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        Ok(path)
    }

    /// A directory in the lab, made when missing.
    pub fn directory(&self, relative: &str) -> Result<PathBuf> {
        let path = self.root.join(relative);
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// A directory for what programs in a virtual machine leave, made when missing; `""` is the whole of it.
    pub fn kept(&self, relative: &str) -> Result<PathBuf> {
        self.directory(&Path::new(KEPT).join(relative).to_string_lossy())
    }

    /// Makes `relative` with `make` unless an earlier run did and it is still whole; two runs at once wait for each
    /// other. What `make` is given is a place that becomes `relative` only when it succeeded.
    pub fn once(
        &self,
        relative: &str,
        what: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.path(relative)?;
        if self.is_whole(relative)? {
            return Ok(path);
        }
        let _lock = self.lock(relative)?;
        if self.is_whole(relative)? {
            return Ok(path);
        }
        if path.symlink_metadata().is_ok() {
            say(&format!("{} is not whole, and is made again", path.display()));
            self.unfinish(relative)?;
        }
        self.make(relative, what, make)?;
        self.finish(relative)?;
        Ok(path)
    }

    /// Makes `relative`, whole or not at all. Nobody else may do so at the same time.
    fn make(&self, relative: &str, what: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let path = self.path(relative)?;
        say(what);
        let partial = self.path(&format!("{relative}.partial"))?;
        remove(&partial)?;
        make(&partial).with_context(|| format!("while making {}", path.display()))?;
        fs::rename(&partial, &path).with_context(|| format!("cannot finish {}", path.display()))
    }

    /// Held while something of this name is made.
    fn lock(&self, name: &str) -> Result<Flock<File>> {
        let path = self.path(&format!("locks/{}", name.replace('/', "-")))?;
        let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Flock::lock(file, FlockArg::LockExclusive)
            .map_err(|(_, errno)| errno)
            .with_context(|| format!("cannot lock {}", path.display()))
    }
}

/// Tells the person at the terminal what happens now.
pub fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Removes a file or tree, also one with read-only directories (a Nix store); a missing one is fine.
pub fn remove(path: &Path) -> Result<()> {
    let removed = match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => return Ok(()),
    };
    removed.with_context(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lab of its own with one directory in it, made from three files.
    fn lab() -> (tempfile::TempDir, Lab) {
        let place = tempfile::tempdir().unwrap();
        let lab = Lab {
            checkout: place.path().to_owned(),
            root: place.path().join("lab"),
            build: Build::Tested,
            xtask: None,
        };
        assert!(makes(&lab));
        (place, lab)
    }

    /// Asks for the directory, and tells whether it was made.
    fn makes(lab: &Lab) -> bool {
        let mut made = false;
        let directory = lab
            .once("some/thing", "making a thing", |at| {
                made = true;
                fs::create_dir_all(at.join("a/b"))?;
                for name in ["one", "a/two", "a/b/three"] {
                    fs::write(at.join(name), name)?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(fs::read_to_string(directory.join("a/b/three")).unwrap(), "a/b/three");
        made
    }

    #[test]
    fn what_is_finished_is_not_made_again() {
        let (_place, lab) = lab();
        assert!(!makes(&lab));
    }

    #[test]
    fn what_has_grown_is_not_made_again() {
        let (_place, lab) = lab();
        fs::write(lab.path("some/thing/more").unwrap(), "more").unwrap();
        assert!(!makes(&lab));
    }

    #[test]
    fn an_emptied_directory_is_made_again() {
        let (_place, lab) = lab();
        let thing = lab.path("some/thing").unwrap();
        remove(&thing).unwrap();
        fs::create_dir(&thing).unwrap();
        assert!(makes(&lab));
        assert!(!makes(&lab));
    }

    #[test]
    fn a_directory_that_was_removed_in_part_is_made_again() {
        for lost in ["one", "a/two", "a/b/three", "a/b", "a"] {
            let (_place, lab) = lab();
            remove(&lab.path("some/thing").unwrap().join(lost)).unwrap();
            assert!(makes(&lab), "without {lost}");
        }
    }

    #[test]
    fn a_name_that_is_missing_is_not_made_up_for_by_others() {
        let (_place, lab) = lab();
        let thing = lab.path("some/thing").unwrap();
        fs::rename(thing.join("one"), thing.join("other")).unwrap();
        assert!(makes(&lab));
    }

    #[test]
    fn what_was_made_by_nobody_knows_whom_is_made_again() {
        let (_place, lab) = lab();
        remove(&lab.path("finished").unwrap()).unwrap();
        assert!(makes(&lab));
    }

    #[test]
    fn what_could_not_be_made_is_not_finished() {
        let (_place, lab) = lab();
        let fails = |at: &Path| {
            fs::create_dir(at)?;
            anyhow::bail!("no")
        };
        lab.once("other", "making another", fails).unwrap_err();
        assert!(!lab.path("other").unwrap().exists());
    }
}
