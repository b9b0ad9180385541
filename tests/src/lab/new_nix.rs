//! A Nix that knows `external-builders` (2.32 or later), with all that it needs, as a root directory of its own.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Lab;
use super::versions::{self, Purpose, Wanted};
use crate::command::{command, quiet};
use crate::vm::root;

/// It, and what is used beside it in its root; ssh, to have other machines build.
const PACKAGES: Wanted<'_> = Wanted {
    names: &[
        "nix-bin",
        "busybox-static",
        "base-files",
        "bash",
        "coreutils",
        "ca-certificates",
        "openssh-client",
    ],
    with_dependencies: true,
};

/// An unpacked Nix; to be entered with `vm::root::enter`.
#[derive(Clone, Debug)]
pub struct NewNix {
    /// What becomes `/`.
    pub root: PathBuf,
}

impl NewNix {
    /// The words before a command that is to see this Nix in a machine, with the machine's /nix, the checkout and
    /// whatever else is named.
    pub fn enter<'a>(
        &self,
        lab: &'a Lab,
        others: impl IntoIterator<Item = &'a Path>,
    ) -> Result<Vec<OsString>> {
        let shown = [Path::new("/nix"), lab.checkout()].into_iter().chain(others);
        root::words(lab, &self.root, shown)
    }

    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<NewNix> {
        let root = lab.once("new-nix", "bringing a Nix with external-builders", |at| {
            versions::unpack(lab, Purpose::Nix, &PACKAGES, at, prepare, try_out)
        })?;
        Ok(NewNix { root })
    }
}

/// It has to know the setting by which builds are left to another program. Nix looks for itself in /proc.
fn try_out(root: &Path) -> Result<()> {
    const INSIDE: &str = "mount -t proc proc \"$1/proc\" && exec chroot \"$@\"";
    let mut inside =
        command("unshare", ["--mount", "--propagation", "private", "--", "sh", "-c", INSIDE, "sh"]);
    inside.arg(root).args(["nix", "--extra-experimental-features", "nix-command external-builders"]);
    quiet(inside.args(["config", "show", "external-builders"]).env("NIX_REMOTE", "dummy://"))
        .context("this Nix does not know external-builders")
}

/// Adds what installing would have made.
fn prepare(root: &Path) -> Result<()> {
    for name in ["lib", "lib64", "bin", "sbin"] {
        let link = root.join(name);
        if link.symlink_metadata().is_err() {
            symlink(format!("usr/{name}"), link)?;
        }
    }
    if !root.join("usr/bin/sh").exists() {
        symlink("busybox", root.join("usr/bin/sh"))?;
    }
    for name in ["proc", "dev", "sys", "tmp", "nix", "run", "root", "var/empty"] {
        fs::create_dir_all(root.join(name))?;
    }
    for name in ["passwd", "group", "hosts", "nsswitch.conf"] {
        let from = Path::new("/etc").join(name);
        fs::copy(&from, root.join("etc").join(name))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(())
}
