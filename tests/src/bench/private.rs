//! Places of this process's own that go when it does: a file system in memory, and a network of loopback alone, so that
//! servers which insist on ports and on a port mapper meet nobody else's.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::servers::Offer;
use super::work::{LARGE, TREE, large_file, tree};
use crate::command::{command, quiet};
use crate::lab::Lab;

/// What the workloads need, in memory and in places of this process's own: made once. To be called first when there are
/// no threads yet.
pub fn files(lab: &Lab) -> Result<Offer> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if let Some(root) = MADE.get() {
        return Offer::new(root);
    }
    let root = mount_all(lab)?;
    tree::make(&root.join(TREE))?;
    large_file::write(&root.join(LARGE))?;
    Offer::new(MADE.get_or_init(|| root))
}

fn mount_all(lab: &Lab) -> Result<PathBuf> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).context("cannot make namespaces")?;
    quiet(&mut command("ip", ["link", "set", "lo", "up"]))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make mounts private")?;
    let at = lab.directory("bench")?;
    mount(Some("files"), &at, Some("tmpfs"), MsFlags::empty(), Some("mode=755,size=4G"))
        .with_context(|| format!("cannot mount tmpfs at {}", at.display()))?;
    mount(Some("state"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .context("cannot mount tmpfs at /run")?;
    Ok(at)
}
