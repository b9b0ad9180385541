//! Another system's files as the root, inside the machine: for a Nix that is newer than the machine's.
//!
//! By pivot_root and not by chroot: in a chroot, user namespaces and with them Nix's sandbox are refused.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, pivot_root};

use crate::lab::Lab;

/// What to run where.
#[derive(Debug, Args)]
pub struct Options {
    /// What becomes `/`.
    root: PathBuf,
    /// Directories that are seen at their own places in there.
    #[arg(long)]
    with: Vec<PathBuf>,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The words before a command that is to be in such a root, where it also sees these directories of the machine.
pub fn words<'a>(lab: &Lab, root: &Path, shown: impl IntoIterator<Item = &'a Path>) -> Result<Vec<OsString>> {
    let mut words: Vec<OsString> = vec![lab.own_program()?.into(), "__vm-in-root".into()];
    for shown in shown {
        words.extend(["--with".into(), shown.into()]);
    }
    words.extend([root.into(), "--".into()]);
    Ok(words)
}

/// Becomes the command.
pub fn main(options: &Options) -> Result<ExitCode> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("cannot make mounts private")?;
    // The root is put together on a file system of the machine's: the given one is only read.
    let base = Path::new("/run/other-root");
    fs::create_dir_all(base)?;
    mount(Some("base"), base, Some("tmpfs"), MsFlags::empty(), none)?;
    for name in ["upper", "work", "root"] {
        fs::create_dir(base.join(name))?;
    }
    let root = base.join("root");
    let layers = format!(
        "lowerdir={},upperdir={},workdir={}",
        options.root.display(),
        base.join("upper").display(),
        base.join("work").display()
    );
    mount(Some("root"), &root, Some("overlay"), MsFlags::empty(), Some(layers.as_str()))
        .with_context(|| format!("cannot put an overlay over {}", options.root.display()))?;
    for shown in ["/dev", "/proc", "/sys"].map(PathBuf::from).iter().chain(&options.with) {
        let at = root.join(shown.strip_prefix("/").unwrap_or(shown));
        fs::create_dir_all(&at)?;
        mount(Some(shown), &at, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .with_context(|| format!("cannot show {}", shown.display()))?;
    }
    for name in ["run", "tmp"] {
        mount(Some(name), &root.join(name), Some("tmpfs"), MsFlags::empty(), Some("mode=1777"))?;
    }
    let old = root.join("run/old");
    fs::create_dir(&old)?;
    pivot_root(&root, &old).context("cannot enter the root")?;
    chdir("/")?;
    umount2("/run/old", MntFlags::MNT_DETACH).context("cannot leave the old root")?;
    let [program, arguments @ ..] = options.command.as_slice() else { bail!("no command") };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}
