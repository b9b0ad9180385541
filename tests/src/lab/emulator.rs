//! A system emulator, and a kernel as Debian has it for machines: the second ground, on which a system call costs what it
//! costs beside everything else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::Lab;
use super::apt::Suite;
use crate::command::{command, quiet};
use crate::vm::{Boot, Output, Vm};

mod initramfs;

/// Debian's stable release: it stands still, so that no versions are recorded.
const SUITE: &str = "trixie";
/// The emulator of this kind of machine.
const EMULATOR: &str = "qemu-system-x86";
/// What depends on the release's newest kernel. Its flavour for clouds has no 9P, by which the host's files come in.
const KERNEL: &str = "linux-image-amd64";
/// What the names of packages with a kernel in them start with.
const KERNELS: &str = "linux-image-";
/// A machine has to show within this time that it starts.
const TRIAL: Duration = Duration::from_secs(180);

/// The emulator with its libraries, unpacked, and a kernel with its modules and the file system that it starts from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Emulator {
    root: PathBuf,
}

impl Emulator {
    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<Emulator> {
        let root = lab.once("emulator", "bringing a system emulator and a kernel for it", |at| {
            let emulator = Emulator { root: at.to_owned() };
            let suite = Suite::open(lab, SUITE)?;
            suite.unpack(&[EMULATOR], true, &emulator.programs())?;
            let kernels = suite.depends(KERNEL)?;
            let kernels: Vec<String> = kernels.into_iter().filter(|name| name.starts_with(KERNELS)).collect();
            ensure!(kernels.len() == 1, "{KERNEL} depends on {kernels:?} and not on one kernel");
            suite.unpack(&kernels, false, &emulator.kernel())?;
            emulator.prepare()?;
            emulator.try_out(lab)
        })?;
        Ok(Emulator { root })
    }

    /// One in a directory, for those who look at what would be done with it.
    #[cfg(test)]
    pub fn at(root: impl Into<PathBuf>) -> Emulator {
        Emulator { root: root.into() }
    }

    /// The emulator, started by the loader that came with it: its libraries belong to that one.
    pub fn program(&self) -> Command {
        let mut program = command(self.programs().join("usr/lib64/ld-linux-x86-64.so.2"), ["--library-path"]);
        program.arg(self.libraries()).arg(self.programs().join("usr/bin/qemu-system-x86_64"));
        program
    }

    /// What it finds its own parts by.
    pub fn environment(&self) -> [(&'static str, PathBuf); 1] {
        [("QEMU_MODULE_DIR", self.libraries().join("qemu"))]
    }

    /// Where it has what a machine is started by.
    pub fn firmware(&self) -> [PathBuf; 2] {
        ["qemu", "seabios"].map(|name| self.programs().join("usr/share").join(name))
    }

    /// The root of the kernel's package.
    pub fn kernel(&self) -> PathBuf {
        self.root.join("kernel")
    }

    /// The kernel itself.
    pub fn image(&self) -> PathBuf {
        self.root.join("vmlinuz")
    }

    /// The first file system that the kernel has.
    pub fn initramfs(&self) -> PathBuf {
        self.root.join("initramfs")
    }

    fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    fn libraries(&self) -> PathBuf {
        self.programs().join("usr/lib/x86_64-linux-gnu")
    }

    /// Adds what installing would have made.
    fn prepare(&self) -> Result<()> {
        let kernel = self.kernel();
        if kernel.join("lib").symlink_metadata().is_err() {
            symlink("usr/lib", kernel.join("lib"))?;
        }
        let release = only_name(&kernel.join("usr/lib/modules"))?;
        quiet(command("/sbin/depmod", ["--basedir"]).arg(&kernel).arg(&release))?;
        let image = kernel.join(format!("boot/vmlinuz-{release}"));
        fs::rename(&image, self.image()).with_context(|| format!("no kernel {}", image.display()))?;
        initramfs::make(&kernel.join("usr/lib/modules").join(&release), &self.initramfs())
    }

    /// Starts a machine, which has the NFS client and the kernel's NFS server.
    fn try_out(&self, lab: &Lab) -> Result<()> {
        let machine = Vm { memory: 1024, timeout: TRIAL, ..Vm::default() };
        let words = ["modprobe", "--all", "nfs", "nfsv3", "nfsd"].map(Into::into);
        let finished = machine.run_boot(lab, &Boot::Emulator(self.clone()), &words, Output::Capture)?;
        let said = String::from_utf8_lossy(&finished.stderr);
        ensure!(finished.status == 0, "the machine's modules cannot be loaded: {said}");
        Ok(())
    }
}

/// The one name in a directory.
fn only_name(directory: &Path) -> Result<String> {
    let listed = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let names: Vec<String> =
        listed.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect::<Result<_>>()?;
    match names.as_slice() {
        [name] => Ok(name.clone()),
        _ => bail!("{} has {names:?} and not one release of a kernel", directory.display()),
    }
}
