//! The file system that holds a ground's files.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use nix::mount::{MsFlags, mount};

use crate::command::{command, quiet};

/// How much fits on it, in MiB; taken from the machine's memory when it is used.
const SIZE: u64 = 1500;

/// A kind of file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Behind {
    /// In memory. It never gives a removed file's inode number to another.
    #[default]
    Tmpfs,
    /// On a disk whose image is in memory. It gives the number to the next file at once.
    Ext4,
}

impl Behind {
    /// Mounts an empty one for every user.
    pub fn mount(self, at: &Path) -> Result<()> {
        match self {
            Behind::Tmpfs => {
                let options = format!("size={SIZE}M,mode=1777");
                mount(Some("backing"), at, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
                    .context("cannot mount tmpfs")
            }
            Behind::Ext4 => {
                let image = at.with_extension("image");
                let made = File::create(&image).and_then(|file| file.set_len(SIZE << 20));
                made.with_context(|| format!("cannot create {}", image.display()))?;
                // As many inodes as tmpfs would have: there are cases with a hundred thousand files.
                quiet(command("mkfs.ext4", ["-q", "-i", "8192"]).arg(&image))?;
                quiet(command("mount", ["-o", "loop"]).arg(&image).arg(at))?;
                fs::remove_dir(at.join("lost+found")).context("cannot empty the new file system")?;
                fs::set_permissions(at, Permissions::from_mode(0o1777)).context("cannot open it to everybody")
            }
        }
    }
}
