//! A file system in memory that only root can enter, for what a jail has besides its root: its devices and
//! its process information.
//!
//! It is mounted in the jail's own mount namespace, over the host's /proc, which nobody needs there any more, and goes
//! with the host's tree when the root changes. What is shown of it, is mounted one by one, read-only.

mod local;
mod proc;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, OFlag, fcntl, openat};
use nix::mount::MsFlags;
use nix::sys::stat::{self, FchmodatFlags, Mode, SFlag};
use nix::unistd::{Gid, Uid};
use rustix::fs::{OFlags, ResolveFlags};

use super::streams::is_pure;
use super::{Device, DeviceNode, JailError};
use crate::sources::Sources;
use crate::sys;

/// Where it is until the root changes. No root directory of a jail lies below this.
const AT: &str = "/proc";

/// It holds no data, only nodes.
const OPTIONS: &str = "mode=0700,size=64k,nr_inodes=0";

const ITSELF: OFlag = OFlag::O_PATH.union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// No part of a path may be a link, and none leads out of the root.
const NO_LINK: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

const NOTHING: Option<&str> = None;

/// The file system, and the root that gets something of it.
pub(super) struct Stage<'a> {
    directory: OwnedFd,
    root: &'a OwnedFd,
}

impl Stage<'_> {
    /// Mounts it.
    pub fn mount(root: &OwnedFd) -> io::Result<Stage<'_>> {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        nix::mount::mount(Some("loopbox"), AT, Some("tmpfs"), flags, Some(OPTIONS))?;
        let directory = nix::fcntl::open(AT, ITSELF | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Stage { directory, root })
    }

    /// Shows all devices.
    pub fn show_devices(&self, devices: &[Device]) -> Result<(), JailError> {
        let mut sources = Sources::default();
        for (number, device) in devices.iter().enumerate() {
            let failed = |source| JailError::Device { at: device.at.clone(), source };
            let node = match &device.node {
                DeviceNode::Host { source } => open_source(&mut sources, source),
                node => self.make(&format!("device-{number}"), node),
            };
            node.and_then(|node| self.show(&node, &device.at)).map_err(failed)?;
        }
        Ok(())
    }

    /// Puts devices of the jail's own in place of the host's that standard streams are: as user 0, the program could
    /// otherwise change the mode of the host's `/dev/null`.
    pub fn replace_streams(&self, devices: &[Device]) -> io::Result<()> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
            let status = stat::fstat(stream)?;
            if SFlag::from_bits_truncate(status.st_mode & libc::S_IFMT) != SFlag::S_IFCHR || !is_pure(&status)
            {
                continue;
            }
            let (of, access) = (status.st_rdev, fcntl(stream, FcntlArg::F_GETFL)? & libc::O_ACCMODE);
            let own = devices.iter().find(|device| {
                matches!(device.node, DeviceNode::Number { major, minor, .. }
                    if stat::makedev(major.into(), minor.into()) == of)
            });
            let opened = match own {
                Some(device) => {
                    let access = OFlags::from_bits_retain(access.cast_unsigned());
                    self.open_in_root(&device.at, access, NO_LINK)?
                }
                None => self.open_own(of, OFlag::from_bits_retain(access))?,
            };
            match stream.as_raw_fd() {
                libc::STDIN_FILENO => nix::unistd::dup2_stdin(&opened)?,
                libc::STDOUT_FILENO => nix::unistd::dup2_stdout(&opened)?,
                _ => nix::unistd::dup2_stderr(&opened)?,
            }
        }
        Ok(())
    }

    /// The device of this number by a node that nobody else sees.
    fn open_own(&self, device: libc::dev_t, access: OFlag) -> io::Result<OwnedFd> {
        let (major, minor) = (stat::major(device), stat::minor(device));
        let name = format!("stream-{major}-{minor}");
        let node = Mode::from_bits_truncate(0o600);
        match stat::mknodat(&self.directory, name.as_str(), SFlag::S_IFCHR, node, device) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(openat(&self.directory, name.as_str(), access | OFlag::O_CLOEXEC, Mode::empty())?)
    }

    /// Mounts it read-only, so that nobody changes its mode, its owner or its times. Reading from a device and writing
    /// to it is something else.
    fn show(&self, node: &OwnedFd, at: &Path) -> io::Result<()> {
        let own = sys::clone_mount(node.as_fd(), sys::READ_ONLY | sys::NO_EXEC)?;
        sys::mount_tree(own.as_fd(), self.point(at)?.as_fd())
    }

    /// The place in the root, of which no part is a link.
    fn point(&self, at: &Path) -> io::Result<OwnedFd> {
        self.open_in_root(at, OFlags::PATH, NO_LINK)
    }

    fn open(&self, name: &str) -> io::Result<OwnedFd> {
        Ok(openat(&self.directory, name, ITSELF, Mode::empty())?)
    }

    fn open_in_root(&self, at: &Path, flags: OFlags, resolve: ResolveFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC;
        let below = at.strip_prefix("/").unwrap_or(at);
        Ok(rustix::fs::openat2(self.root, below, flags, rustix::fs::Mode::empty(), resolve)?)
    }

    fn make(&self, name: &str, node: &DeviceNode) -> io::Result<OwnedFd> {
        if let DeviceNode::Number { major, minor, mode, uid, gid } = *node {
            let number = stat::makedev(major.into(), minor.into());
            stat::mknodat(&self.directory, name, SFlag::S_IFCHR, Mode::empty(), number)?;
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            nix::unistd::fchownat(&self.directory, name, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let mode = Mode::from_bits_truncate(mode & 0o777);
            stat::fchmodat(&self.directory, name, mode, FchmodatFlags::FollowSymlink)?;
        }
        self.open(name)
    }
}

/// A link is opened as one, and cannot be shown.
fn open_source(sources: &mut Sources, source: &Path) -> io::Result<OwnedFd> {
    let (holder, name) = sources.holder(source)?;
    Ok(openat(holder, name, ITSELF, Mode::empty())?)
}
