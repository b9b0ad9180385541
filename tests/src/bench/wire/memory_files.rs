//! A file system in memory that only this process and what it starts can see, and that goes when they do.

use std::path::PathBuf;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::lab::Lab;

/// Mounts it. To be called before there are threads.
pub fn mount_private(lab: &Lab) -> Result<PathBuf> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make mounts private")?;
    let at = lab.directory("bench")?;
    mount(Some("files"), &at, Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=4G"))
        .with_context(|| format!("cannot mount tmpfs at {}", at.display()))?;
    Ok(at)
}
