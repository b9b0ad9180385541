//! Process information for a jail, without what user 0 could change of the machine, or learn about it, by way of it.
//!
//! Many files of /proc ask who somebody is, and not what he may do: user 0 of a namespace without any power is user 0.
//! So for user 0 everything but the directories of processes is mounted read-only over itself, whatever it is, and what
//! others may not read is empty.

use std::fs::{self, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use defences::Defence;
use nix::mount::MsFlags;
use rustix::fs::ResolveFlags;

use super::{AT, JailError, NOTHING, Stage};
use crate::sys;

/// What is empty though everybody may read it: the paths that container run-times hide (`defaultMaskedPaths` of Docker
/// and containerd, `MaskedPaths` of runc's specification), as far as they lie in /proc.
const MASKED: [&str; 9] = [
    "acpi",
    "asound",
    "interrupts",
    "keys",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Settings that are secrets of the machine's network: their mode keeps everybody but user 0 from reading them. `*` stands
/// for any name.
const SECRETS: [&str; 2] = ["sys/net/ipv4/tcp_fastopen_key", "sys/net/ipv6/conf/*/stable_secret"];

/// Whether a file may be read by everybody.
const OTHERS_READ: u32 = 0o004;

impl Stage<'_> {
    /// Mounts it at a directory of the root; `restricted` for user 0.
    pub fn mount_proc(&self, at: &Path, restricted: bool) -> Result<(), JailError> {
        let failed = |source| JailError::Special { kind: "proc".into(), at: at.into(), source };
        let point = self.open_in_root(at, rustix::fs::OFlags::PATH, ResolveFlags::IN_ROOT).map_err(failed)?;
        // With no flags, as Nix does it.
        let (live, all) = self.new_proc("live", MsFlags::empty()).map_err(failed)?;
        if restricted && Defence::Proc.stands() {
            self.restrict(&live)?;
        }
        sys::mount_tree(all.as_fd(), point.as_fd()).map_err(failed)
    }

    fn restrict(&self, live: &Path) -> Result<(), JailError> {
        let failed = |name: &Path| {
            let path = Path::new("/proc").join(name);
            move |source| JailError::ReadOnlyProc { path, source }
        };
        let nothing = Path::new("");
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        let (fixed, _) = self.new_proc("fixed", flags).map_err(failed(nothing))?;
        for entry in fs::read_dir(&fixed).map_err(failed(nothing))? {
            let entry = entry.map_err(failed(nothing))?;
            let (name, path) = (PathBuf::from(entry.file_name()), entry.path());
            let is_process = name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
            // A process may have ended meanwhile.
            if is_process {
                continue;
            }
            let metadata = path.symlink_metadata().map_err(failed(&name))?;
            // Links lead to processes.
            if metadata.is_symlink() {
                continue;
            }
            let readable = metadata.is_dir() || metadata.mode() & OTHERS_READ != 0;
            let at = live.join(&name);
            if readable && !MASKED.iter().any(|masked| name == Path::new(masked)) {
                // A bind mount is as read-only as what it is made of.
                nix::mount::mount(Some(&path), &at, NOTHING, MsFlags::MS_BIND, NOTHING)
                    .map_err(|errno| failed(&name)(errno.into()))?;
            } else {
                self.mask(&at, &metadata).map_err(failed(&name))?;
            }
        }
        for at in SECRETS.iter().flat_map(|secret| expand(live, secret)) {
            let name = at.strip_prefix(live).unwrap_or(&at);
            at.symlink_metadata().and_then(|metadata| self.mask(&at, &metadata)).map_err(failed(name))?;
        }
        Ok(())
    }

    /// A mount of its own in this file system, and its root.
    fn new_proc(&self, name: &str, flags: MsFlags) -> io::Result<(PathBuf, OwnedFd)> {
        let at = Path::new(AT).join(name);
        fs::create_dir(&at)?;
        nix::mount::mount(Some("proc"), &at, Some("proc"), flags, NOTHING)?;
        let root = self.open(name)?;
        Ok((at, root))
    }

    /// Something empty of the same kind and mode.
    fn mask(&self, at: &Path, like: &Metadata) -> io::Result<()> {
        let name = format!("mask-{}-{}", like.dev(), like.ino());
        let empty = Path::new(AT).join(&name);
        if like.is_dir() {
            fs::create_dir(&empty)?;
        } else {
            fs::write(&empty, "")?;
        }
        fs::set_permissions(&empty, PermissionsExt::from_mode(like.mode() & 0o777))?;
        let mount = sys::clone_mount(self.open(&name)?.as_fd(), sys::READ_ONLY | sys::NO_EXEC)?;
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::CLOEXEC;
        let point = rustix::fs::open(at, flags, rustix::fs::Mode::empty())?;
        sys::mount_tree(mount.as_fd(), point.as_fd())
    }
}

/// The paths that are there of those that a pattern with at most one `*` stands for.
fn expand(top: &Path, pattern: &str) -> Vec<PathBuf> {
    let paths = match pattern.split_once("/*/") {
        None => vec![top.join(pattern)],
        Some((above, below)) => {
            let names = fs::read_dir(top.join(above)).into_iter().flatten().flatten();
            names.map(|entry| entry.path().join(below)).collect()
        }
    };
    paths.into_iter().filter(|path| path.symlink_metadata().is_ok()).collect()
}
