//! The machine's outside: pid 1 of its pid namespace on the host, which starts the kernel in a root of its own.
//!
//! The kernel program was linked with a newer C library than the host's, and it executes itself again by
//! /proc/self/exe, so it gets a root that holds that library; the host's files are at /host in there. They are read-only,
//! by the host's own mounts, but for the few places that the machine is there to write to: a root in the machine that
//! mounts the host's files once more (hostfs) can change no others either.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{chdir, dup, pivot_root};

use super::{Job, processor};
use crate::sys::set_read_only;

/// Runs the kernel to its end.
pub fn main(spec: &Path) -> Result<ExitCode> {
    let job: Job = serde_json::from_slice(&fs::read(spec)?).context("the job cannot be read")?;
    more_descriptors();
    let _processor = processor::take()?;
    let console = File::create(&job.console).context("cannot create the console's file")?;
    // The kernel inherits these two by number: they are what the program in the machine writes to.
    let stdout = dup(std::io::stdout())?;
    let stderr = dup(std::io::stderr())?;

    furnish(&job.kernel)?;
    enter_root(&job.kernel)?;
    protect(&job)?;
    let status = Command::new("/usr/bin/linux.uml")
        .arg0("linux.uml")
        .arg(format!("mem={}M", job.memory))
        .args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/host", "rw", "quiet", "panic=-1"])
        .args(["seccomp=auto", "con0=null,fd:1", "con=null", "uml_dir=/tmp"])
        .arg(format!("con1=null,fd:{}", stdout.as_raw_fd()))
        .arg(format!("con2=null,fd:{}", stderr.as_raw_fd()))
        .args(disks(&job))
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
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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

/// Makes everything read-only but what the machine is there to write to.
fn protect(job: &Job) -> Result<()> {
    set_read_only(Path::new("/"), true, true)
        .context("cannot make the host's files read-only for the machine (it takes Linux 5.12)")?;
    let disks = job.disks.iter().filter(|disk| disk.keep).map(|disk| &disk.image);
    for place in [&job.directory, &job.kept].into_iter().chain(disks) {
        let at = on_host(place);
        mount(Some(&at), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(std::io::Error::from)
            .and_then(|()| set_read_only(&at, false, false))
            .with_context(|| format!("cannot make {} writable for the machine", place.display()))?;
    }
    // The machine's memory is a file here.
    let size = format!("size={}M,mode=1777", job.memory + 256);
    mount(Some("memory"), "/tmp", Some("tmpfs"), MsFlags::empty(), Some(size.as_str()))
        .context("cannot mount the kernel's /tmp")
}

/// Where a path of the host's is in the kernel's root.
fn on_host(path: &Path) -> PathBuf {
    Path::new("/host").join(path.strip_prefix("/").unwrap_or(path))
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

/// The kernel keeps a host descriptor for every file of the host that is open inside.
fn more_descriptors() {
    const WANTED: u64 = 1_000_000;
    if setrlimit(Resource::RLIMIT_NOFILE, WANTED, WANTED).is_err()
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // Without CAP_SYS_RESOURCE the hard limit is all there is; small jobs do with it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
