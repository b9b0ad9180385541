//! Process 1 of a fresh root's namespaces: mounts what a Linux root has, enters it, and runs one command.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{chdir, pivot_root};
use serde::{Deserialize, Serialize};

use crate::sys::set_read_only;
use crate::vm::init::reap;

/// Devices that every machine has, with their numbers (Documentation/admin-guide/devices.txt of the kernel).
const DEVICES: [(&str, u64, u64); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];
/// Names in /dev that lead elsewhere.
const LINKS: [(&str, &str); 5] = [
    ("ptmx", "pts/ptmx"),
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// All that process 1 has to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// What becomes `/`.
    pub root: PathBuf,
    /// A directory of this machine's that is seen at its own place, read-only.
    pub shown: PathBuf,
    /// Where the command starts.
    pub directory: PathBuf,
    /// All of its variables.
    pub environment: Vec<(String, String)>,
    /// The command.
    pub words: Vec<String>,
}

/// Runs the command to its end. The mount namespace is this process's own.
pub fn main(job: &str) -> Result<ExitCode> {
    let job: Job = serde_json::from_str(job).context("the job cannot be read")?;
    furnish(&job.root, &job.shown)?;
    chdir(&job.root).with_context(|| format!("cannot go to {}", job.root.display()))?;
    // The old root is on top of the new one then, until it is taken away (pivot_root(2), NOTES).
    pivot_root(".", ".").context("cannot enter the root")?;
    umount2(".", MntFlags::MNT_DETACH).context("cannot leave this machine's root")?;
    chdir(&job.directory).with_context(|| format!("cannot go to {}", job.directory.display()))?;
    let [program, arguments @ ..] = job.words.as_slice() else { anyhow::bail!("the job names no program") };
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(job.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    Ok(ExitCode::from(u8::try_from(reap(&child)?).unwrap_or(u8::MAX)))
}

/// Mounts all that is below the root.
fn furnish(root: &Path, shown: &Path) -> Result<()> {
    bind(root, root)?;
    let at = root.join(shown.strip_prefix("/").unwrap_or(shown));
    fs::create_dir_all(&at).with_context(|| format!("cannot create {}", at.display()))?;
    bind(shown, &at)?;
    set_read_only(&at, true, true).with_context(|| format!("cannot make {} read-only", at.display()))?;
    put("proc", &root.join("proc"), "proc", "")?;
    // No package brings it: a machine makes it when it starts, and nfs-ganesha exports nothing without it.
    symlink("../proc/self/mounts", root.join("etc/mtab")).context("cannot make /etc/mtab")?;
    put("sysfs", &root.join("sys"), "sysfs", "")?;
    set_read_only(&root.join("sys"), true, false).context("cannot make /sys read-only")?;
    put("run", &root.join("run"), "tmpfs", "mode=755")?;
    let dev = root.join("dev");
    put("dev", &dev, "tmpfs", "mode=755")?;
    for (name, major, minor) in DEVICES {
        let (at, number) = (dev.join(name), makedev(major, minor));
        // A node of its own, as on a machine: one that is bound from elsewhere would be a mount.
        let mode = Mode::from_bits_truncate(0o666);
        mknod(&at, SFlag::S_IFCHR, mode, number).with_context(|| format!("cannot make /dev/{name}"))?;
        // Whatever the umask left of it.
        fs::set_permissions(&at, Permissions::from_mode(mode.bits()))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name)).with_context(|| format!("cannot make /dev/{name}"))?;
    }
    for name in ["pts", "shm"] {
        fs::create_dir(dev.join(name)).with_context(|| format!("cannot make /dev/{name}"))?;
    }
    put("devpts", &dev.join("pts"), "devpts", "newinstance,ptmxmode=666,mode=620,gid=5")?;
    put("shm", &dev.join("shm"), "tmpfs", "mode=1777")
}

fn bind(from: &Path, at: &Path) -> Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(from), at, None::<&str>, flags, None::<&str>)
        .with_context(|| format!("cannot bind {} to {}", from.display(), at.display()))
}

fn put(source: &str, at: &Path, kind: &str, options: &str) -> Result<()> {
    mount(Some(source), at, Some(kind), MsFlags::empty(), Some(options))
        .with_context(|| format!("cannot mount {kind} at {}", at.display()))
}
