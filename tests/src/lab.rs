//! The lab: everything that tests and the demonstration download or make, under one directory in target/.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::fcntl::{Flock, FlockArg};

pub mod apt;
pub mod browser;
pub mod kernel;
pub mod macos;
pub mod new_nix;
mod own;
pub mod packages;
pub mod store;
pub mod suites;

/// The directory of the lab that programs in a virtual machine can write to; nothing else of the host is.
const KEPT: &str = "kept";

/// Where things are kept. Every checkout has its own; nothing outside of it is changed but by `packages`.
#[derive(Clone, Debug)]
pub struct Lab {
    checkout: PathBuf,
    root: PathBuf,
}

impl Lab {
    /// The lab of the checkout that this program was built from.
    pub fn open() -> Result<Lab> {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let checkout =
            checkout.canonicalize().with_context(|| format!("no checkout at {}", checkout.display()))?;
        let root = checkout.join("target/loopbox-lab");
        fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
        Ok(Lab { checkout, root })
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

    /// Makes `relative` with `make` unless an earlier run did; two runs at once wait for each other.
    /// What `make` is given is a place that becomes `relative` only when it succeeded.
    pub fn once(
        &self,
        relative: &str,
        what: &str,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let path = self.path(relative)?;
        if path.exists() {
            return Ok(path);
        }
        let _lock = self.lock(relative)?;
        if path.exists() {
            return Ok(path);
        }
        self.make(relative, what, make)?;
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
