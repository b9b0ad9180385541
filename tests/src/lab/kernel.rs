//! User-Mode Linux: a Linux kernel with an NFS client that runs as an ordinary program.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Lab;
use super::versions::{self, Purpose, Wanted};
use crate::vm::{Boot, Output, Vm};

/// Of a newer suite. Debian 12's own (6.1) dies at its first process on CPUs whose register state is larger than it
/// expects (AMX), and has no seccomp mode, which halves the cost of a system call.
const PACKAGES: Wanted<'_> =
    Wanted { names: &["user-mode-linux", "libc6", "libgcc-s1"], with_dependencies: false };
/// A kernel that nobody has tried has to show within this time that it starts.
const TRIAL: Duration = Duration::from_secs(60);

/// An unpacked kernel with its modules and the C library that it was linked with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kernel {
    /// The directory that becomes the kernel program's own root.
    pub root: PathBuf,
}

impl Kernel {
    /// Brings the kernel, once.
    pub fn bring(lab: &Lab) -> Result<Kernel> {
        let root = lab.once("kernel", "bringing the User-Mode Linux kernel", |at| {
            versions::unpack(lab, Purpose::Kernel, &PACKAGES, at, prepare, |root| try_out(lab, root))
        })?;
        Ok(Kernel { root })
    }
}

/// Starts a machine with it, which has the NFS client and the kernel's NFS server.
fn try_out(lab: &Lab, root: &Path) -> Result<()> {
    let boot = Boot::Uml(Kernel { root: root.to_owned() });
    let machine = Vm { memory: 512, timeout: TRIAL, ..Vm::default() };
    let words = ["modprobe", "--all", "nfs", "nfsv3", "nfsd", "overlay", "loop"].map(Into::into);
    let finished = machine.run_boot(lab, &boot, &words, Output::Capture)?;
    let said = String::from_utf8_lossy(&finished.stderr);
    ensure!(finished.status == 0, "the machine's modules cannot be loaded: {said}");
    Ok(())
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
