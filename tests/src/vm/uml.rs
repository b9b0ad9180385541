//! User-Mode Linux: starts the kernel, a program of the host's, in a root of its own.
//!
//! The program was linked with a newer C library than the host's, and it executes itself again by
//! /proc/self/exe, so it gets a root that holds that library; the host's files are at /host in there. They are read-only,
//! by the host's own mounts, but for the few places that the machine is there to write to: a root in the machine that
//! mounts the host's files once more (hostfs) can change no others either.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, dup, pivot_root};

use super::{Job, enter, processor};
use crate::lab::kernel::Kernel;

/// Where the host's files are in the kernel's root.
const HOST: &str = "/host";

/// Runs the kernel to its end; whether it ended well.
pub(super) fn run(job: &Job, kernel: &Kernel, spec: &Path) -> Result<bool> {
    let _processor = processor::take()?;
    let console = File::create(&job.console).context("cannot create the console's file")?;
    // The kernel inherits these two by number: they are what the program in the machine writes to.
    let stdout = dup(std::io::stdout())?;
    let stderr = dup(std::io::stderr())?;

    furnish(&kernel.root)?;
    enter_root(&kernel.root)?;
    enter::protect(job, Path::new(HOST))?;
    // The machine's memory is a file here.
    let size = format!("size={}M,mode=1777", job.memory + 256);
    mount(Some("memory"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some(size.as_str()))
        .context("cannot mount the kernel's /tmp")?;
    let status = Command::new("/usr/bin/linux.uml")
        .arg0("linux.uml")
        .arg(format!("mem={}M", job.memory))
        .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/host", "rw", "quiet", "panic=-1"])
        .args(["seccomp=auto", "con0=null,fd:1", "con=null", "uml_dir=/tmp"])
        .arg(format!("con1=null,fd:{}", stdout.as_raw_fd()))
        .arg(format!("con2=null,fd:{}", stderr.as_raw_fd()))
        .args(disks(job))
        .arg(format!("init={}", job.helper.display()))
        .args(["--", "__vm-init"])
        .arg(spec)
        .env_clear()
        .envs([("HOME", "/tmp"), ("TMPDIR", "/tmp")])
        .stdin(Stdio::null())
        .stdout(console.try_clone()?)
        .stderr(console)
        .status()
        .context("cannot start the kernel")?;
    Ok(status.success())
}

/// Mounts what the kernel program needs into its root; the mount namespace is ours alone.
fn furnish(root: &Path) -> Result<()> {
    let bind = MsFlags::MS_BIND | MsFlags::MS_REC;
    for (source, at) in [("/", "host"), ("/dev", "dev")] {
        let at = root.join(at);
        mount(Some(source), &at, None::<&str>, bind, None::<&str>)
            .with_context(|| format!("cannot bind {source} to {}", at.display()))?;
    }
    mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), None::<&str>)
        .context("cannot mount /proc for the kernel")?;
    // What becomes the root has to be a mount.
    mount(Some(root), root, None::<&str>, bind, None::<&str>)
        .with_context(|| format!("cannot bind {} to itself", root.display()))
}

/// Leaves nothing of the host's root in this namespace but what is at /host.
fn enter_root(root: &Path) -> Result<()> {
    chdir(root).with_context(|| format!("cannot go to {}", root.display()))?;
    // The old root is on top of the new one then, until it is taken away (pivot_root(2), NOTES).
    pivot_root(".", ".").context("cannot enter the kernel's root")?;
    umount2(".", MntFlags::MNT_DETACH).context("cannot leave the host's root")?;
    chdir("/").context("cannot go to the kernel's root")
}

/// Where a path of the host's is in the kernel's root.
fn on_host(path: &Path) -> PathBuf {
    enter::below(Path::new(HOST), path)
}

/// A disk whose writes are forgotten has them in a file beside the job.
fn disks(job: &Job) -> Vec<String> {
    let describe = |(number, disk): (usize, &super::Disk)| {
        let image = on_host(&disk.image).display().to_string();
        if disk.keep {
            format!("ubd{number}={image}")
        } else {
            format!("ubd{number}={}/disk{number}.cow,{image}", on_host(&job.directory).display())
        }
    };
    job.disks.iter().enumerate().map(describe).collect()
}
