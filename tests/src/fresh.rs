//! A fresh Debian machine, as far as programs can tell: a root made from nothing, in namespaces of its own, where the
//! README's commands have to work. Of this machine it has the kernel, the network, the Rust toolchain (read-only), and
//! how the package registries are reached; of this checkout it has a clone of what is committed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{command, quiet, text};
use crate::lab::debian::DIRECTORY;
use crate::lab::{Lab, remove, say};

pub mod enter;
mod image;
mod reach;
mod run;

pub use run::{Ran, run};

/// Where the clone is, in the root.
const CLONE: &str = "/root/loopbox";

/// A root with a clone in it. Dropped, it is removed.
pub struct Fresh {
    root: PathBuf,
    /// The directory of the Rust toolchain, the same inside and outside.
    toolchain: PathBuf,
    /// The variables that say how registries are reached.
    environment: Vec<(String, String)>,
    keep: bool,
}

impl Fresh {
    /// Makes a root from the image, which is made first if it is missing.
    pub fn make(lab: &Lab, keep: bool) -> Result<Fresh> {
        let image = image::bring(lab)?;
        let root = lab.path(&format!("{DIRECTORY}/root-{}", std::process::id()))?;
        say(&format!("making a fresh root in {}", root.display()));
        remove(&root)?;
        let fresh = Fresh { root, toolchain: toolchain(lab)?, environment: reach::environment(), keep };
        quiet(command("cp", ["-a", "--reflink=auto"]).arg(&image).arg(&fresh.root))?;
        reach::carry_over(&fresh.root, &fresh.environment)?;
        clone(lab, &fresh.inside(CLONE))?;
        image::check(&fresh.root)?;
        Ok(fresh)
    }

    /// Where a path of the root is outside.
    fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if self.keep {
            say(&format!("{} is kept", self.root.display()));
        } else if let Err(error) = remove(&self.root) {
            say(&format!("{error:#}"));
        }
    }
}

/// Removes roots whose process was killed.
pub fn sweep(lab: &Lab) -> Result<()> {
    for entry in fs::read_dir(lab.directory(DIRECTORY)?)? {
        let entry = entry?;
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("root-"));
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// The toolchain that this checkout is built with.
fn toolchain(lab: &Lab) -> Result<PathBuf> {
    let found = text(command("rustc", ["--print", "sysroot"]).current_dir(lab.checkout()))?;
    anyhow::ensure!(
        found != "/usr" && found != "/",
        "the Rust toolchain is installed in {found} with the rest of the system, and cannot be shown alone; \
         one of rustup's can"
    );
    Ok(found.into())
}

/// What is committed, and nothing else.
fn clone(lab: &Lab, at: &Path) -> Result<()> {
    let checkout = lab.checkout();
    if !text(command("git", ["status", "--porcelain"]).current_dir(checkout))?.is_empty() {
        say("changes that are not committed are left out");
    }
    let from = format!("file://{}", checkout.display());
    quiet(command("git", ["clone", "--quiet", "--depth", "1", &from]).arg(at))
        .with_context(|| format!("cannot clone {}", checkout.display()))
}
