//! User-Mode Linux: a Linux kernel with an NFS client that runs as an ordinary program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Lab;
use super::apt::Suite;

/// The suite whose kernel is used. Debian 12's own (6.1) dies at its first process on CPUs whose register state is
/// larger than it expects (AMX), and has no seccomp mode, which halves the cost of a system call.
const SUITE: &str = "forky";

/// An unpacked kernel with its modules and the C library that it was linked with.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The directory that becomes the kernel program's own root.
    pub root: PathBuf,
}

impl Kernel {
    /// Brings the kernel, once.
    pub fn bring(lab: &Lab) -> Result<Kernel> {
        let root = lab.once("kernel", "bringing the User-Mode Linux kernel", |at| {
            Suite::open(lab, SUITE)?.unpack(&["user-mode-linux", "libc6", "libgcc-s1"], false, at)?;
            prepare(at)
        })?;
        Ok(Kernel { root })
    }
}

/// Adds what a chroot needs, and modules where modprobe looks for them.
fn prepare(root: &Path) -> Result<()> {
    for name in ["lib", "lib64", "bin", "sbin"] {
        let link = root.join(name);
        if link.symlink_metadata().is_err() {
            symlink(format!("usr/{name}"), link)?;
        }
    }
    for name in ["host", "proc", "dev", "tmp"] {
        fs::create_dir_all(root.join(name))?;
    }
    let modules = root.join("usr/lib/modules");
    fs::create_dir_all(&modules)?;
    for release in
        fs::read_dir(root.join("usr/lib/uml/modules")).context("the kernel package has no modules")?
    {
        let name = release?.file_name();
        symlink(Path::new("../uml/modules").join(&name), modules.join(&name))?;
    }
    Ok(())
}
