//! A directory that a farm has for as long as it exists: what is written there is its owner's, and goes back to him.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::stat::Mode;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::{DIRECTORY, FarmError, failed};
use crate::{Identity, tree};

/// Where it comes from, and where it is meanwhile.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lent {
    from: PathBuf,
    pub to: PathBuf,
    directory: Identity,
}

/// What is at a path.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    Itself,
    Another,
}

impl Lent {
    /// Nothing is moved yet.
    pub fn new(from: &Path, to: &Path) -> Result<Lent, FarmError> {
        let opened = nix::fcntl::open(from, DIRECTORY, Mode::empty());
        let directory = opened.map_err(io::Error::from).and_then(Identity::of);
        let directory = directory.map_err(|error| failed("open", from, error))?;
        Ok(Lent { from: from.into(), to: to.into(), directory })
    }

    /// Moves it to where the farm has it.
    pub fn fetch(&self) -> Result<(), FarmError> {
        rename(&self.from, &self.to).map_err(|errno| match errno {
            Errno::EXDEV => FarmError::Volume { path: self.from.clone() },
            errno => failed("move", &self.from, errno.into()),
        })
    }

    /// Moves it back, if it is in the farm. Whoever may write around it may have removed it, or moved it elsewhere; and if there
    /// no longer is where it came from, it is not needed either.
    pub fn give_back(&self) -> Result<(), FarmError> {
        match (self.found(&self.to)?, self.found(&self.from)?) {
            (Found::Itself, Found::Nothing) => {}
            (Found::Itself, Found::Another) => return Err(FarmError::Foreign { path: self.from.clone() }),
            (_, Found::Itself) | (Found::Nothing | Found::Another, _) => return Ok(()),
        }
        match rename(&self.to, &self.from) {
            Ok(()) => Ok(()),
            Err(Errno::ENOENT) => {
                tree::remove(&self.to).map(drop).map_err(|error| failed("remove", &self.to, error))
            }
            Err(errno) => Err(failed("move back", &self.to, errno.into())),
        }
    }

    fn found(&self, path: &Path) -> Result<Found, FarmError> {
        match nix::fcntl::open(path, DIRECTORY, Mode::empty()) {
            Ok(opened) => match Identity::of(opened) {
                Ok(identity) if identity == self.directory => Ok(Found::Itself),
                Ok(_) => Ok(Found::Another),
                Err(error) => Err(failed("look at", path, error)),
            },
            Err(Errno::ENOENT) => Ok(Found::Nothing),
            Err(Errno::ENOTDIR | Errno::ELOOP) => Ok(Found::Another),
            Err(errno) => Err(failed("open", path, errno.into())),
        }
    }
}

/// Unless something is there already.
fn rename(from: &Path, to: &Path) -> Result<(), Errno> {
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)
        .map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::Lent;
    use crate::farm::{Farm, FarmError, remove_farm};

    struct Tried {
        directory: tempfile::TempDir,
        farm: Farm,
    }

    impl Tried {
        /// A farm with one directory in it, which has a file.
        fn new() -> Tried {
            let directory = tempfile::tempdir().unwrap();
            let [top, lent] = ["top", "lent"].map(|name| directory.path().join(name));
            [&top, &lent].into_iter().for_each(|made| fs::create_dir(made).unwrap());
            fs::write(lent.join("file"), "contents").unwrap();
            let mut farm = Farm::begin(&directory.path().join("list")).unwrap();
            farm.borrow(&top, &top.join("work"), &lent).unwrap();
            assert!(!lent.exists());
            Tried { directory, farm }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        /// Nobody takes the farm apart, but the next who reads its list.
        fn killed(self) -> tempfile::TempDir {
            std::mem::forget(self.farm);
            self.directory
        }
    }

    #[test]
    fn what_is_lent_goes_back_with_what_was_written() {
        let tried = Tried::new();
        fs::write(tried.path("top/work/new"), "more").unwrap();
        let Tried { directory, farm } = tried;
        farm.remove_farm().unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("lent/new")).unwrap(), "more");
        assert_eq!(fs::read_dir(directory.path().join("top")).unwrap().count(), 0);
        assert!(!directory.path().join("list").exists());
    }

    #[test]
    fn what_a_killed_farm_had_goes_back_once() {
        let directory = Tried::new().killed();
        let list = directory.path().join("list");
        let saved = fs::read(&list).unwrap();
        for _ in 0..2 {
            remove_farm(&list).unwrap();
            assert_eq!(fs::read_to_string(directory.path().join("lent/file")).unwrap(), "contents");
            // As if it had been killed before the list was removed.
            fs::write(&list, &saved).unwrap();
        }
    }

    #[test]
    fn what_nobody_waits_for_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let [top, holder] = ["top", "holder"].map(|name| directory.path().join(name));
        [&top, &holder, &holder.join("lent")].into_iter().for_each(|made| fs::create_dir(made).unwrap());
        let list = directory.path().join("list");
        let mut farm = Farm::begin(&list).unwrap();
        farm.borrow(&top, &top.join("work"), &holder.join("lent")).unwrap();
        fs::write(top.join("work/file"), "contents").unwrap();
        std::mem::forget(farm);
        fs::remove_dir(&holder).unwrap();
        remove_farm(&list).unwrap();
        assert_eq!(fs::read_dir(&top).unwrap().count(), 0);
    }

    /// As by a program whose directory of a build lies in its `/tmp`.
    #[test]
    fn what_was_removed_meanwhile_is_not_missed() {
        let Tried { directory, mut farm } = Tried::new();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("inner")).unwrap();
        farm.borrow(&path("top"), &path("top/work/inner"), &path("inner")).unwrap();
        fs::rename(path("top/work/inner"), path("top/work/moved")).unwrap();
        std::os::unix::fs::symlink("/", path("top/work/inner")).unwrap();
        farm.remove_farm().unwrap();
        assert!(path("lent/moved").is_dir() && path("lent/inner").is_symlink() && !path("inner").exists());
    }

    #[test]
    fn another_directory_is_left_alone() {
        let directory = Tried::new().killed();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("lent")).unwrap();
        let error = remove_farm(&path("list")).unwrap_err();
        assert!(matches!(error, FarmError::Foreign { path: foreign } if foreign == path("lent")));
        assert_eq!(fs::read_to_string(path("top/work/file")).unwrap(), "contents");
        assert!(path("list").exists());
    }

    #[test]
    fn nothing_is_in_the_way_of_what_is_lent() {
        let mut tried = Tried::new();
        let (top, other) = (tried.path("top"), tried.path("other"));
        fs::create_dir(&other).unwrap();
        let error = tried.farm.borrow(&top, &top.join("work"), &other).unwrap_err();
        assert!(matches!(error, FarmError::Foreign { .. }), "{error}");
        assert!(other.exists());
        let link = tried.path("link");
        std::os::unix::fs::symlink(&other, &link).unwrap();
        assert!(Lent::new(&link, &top.join("linked")).is_err());
    }
}
