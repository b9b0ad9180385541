//! A Nix store of the lab's own: at /nix in a private mount namespace, so that a store of the machine stays out of it.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Lab;
use crate::command::text;

/// Nix's configuration for every store in the lab: a sandbox that may not be left out, nothing from elsewhere.
const CONFIGURATION: &str = "build-users-group = nixbld
sandbox = true
sandbox-fallback = false
substituters =
experimental-features = nix-command
max-jobs = 1
";

/// Binds its first argument to /nix and runs the rest.
const INSIDE: &str = "mount --bind \"$1\" /nix && shift && exec \"$@\"";

/// A directory that holds what /nix holds.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    configuration: PathBuf,
}

impl Store {
    /// The store in `root`; its directories are made by Nix itself.
    pub fn open(lab: &Lab, root: &Path) -> Result<Store> {
        fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
        fs::create_dir_all("/nix").context("cannot create /nix, where Nix stores are mounted")?;
        Ok(Store { root: root.to_owned(), configuration: configuration(lab)? })
    }

    /// A command that sees this store at /nix.
    pub fn command<S: AsRef<OsStr>>(&self, program: &str, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "--", "sh", "-e", "-c", INSIDE, "sh"])
            .arg(&self.root)
            .arg(program)
            .args(arguments)
            .env("NIX_CONF_DIR", &self.configuration)
            .env_remove("NIX_REMOTE");
        command
    }

    /// Adds a file or directory and says its store path.
    pub fn add(&self, path: &Path) -> Result<String> {
        text(&mut self.command("nix-store", [OsStr::new("--add"), path.as_os_str()]))
    }
}

/// The directory with nix.conf.
pub fn configuration(lab: &Lab) -> Result<PathBuf> {
    let directory = lab.directory("nix-conf")?;
    let file = directory.join("nix.conf");
    if fs::read_to_string(&file).ok().as_deref() != Some(CONFIGURATION) {
        fs::write(&file, CONFIGURATION).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(directory)
}
