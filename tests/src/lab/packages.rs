//! The Debian packages that the machine itself must have. The only thing that `setup` changes outside of the lab.

use std::process::Command;

use anyhow::{Context, Result, bail};

use super::say;
use crate::command::{installed, quiet, run, text};

/// A package, and a program that shows that it (or another source of the same) is there.
const NEEDED: [(&str, &str); 14] = [
    ("kmod", "modprobe"),
    ("iproute2", "ip"),
    ("nix-bin", "nix-store"),
    ("busybox-static", "busybox"),
    ("nfs-kernel-server", "rpc.nfsd"),
    ("nfs-common", "mount.nfs"),
    ("rpcbind", "rpcbind"),
    ("e2fsprogs", "mkfs.ext4"),
    ("util-linux", "unshare"),
    ("procps", "kill"),
    ("xz-utils", "xz"),
    ("python3-pip", "pip3"),
    ("git", "git"),
    ("strace", "strace"),
];

/// Seconds to wait for whoever else installs packages at the moment.
const LOCK_TIMEOUT: &str = "DPkg::Lock::Timeout=600";

/// What shows a report as a person sees it.
const BROWSER: (&str, &str) = ("chromium-headless-shell", super::browser::PROGRAM);

/// What packages from source are built with, besides the compiler.
const MAKE: (&str, &str) = ("make", "make");

/// What looks at Homebrew's formula.
const RUBOCOP: (&str, &str) = ("rubocop", "rubocop");

/// The packages that may be installed, those for some commands alone among them.
pub fn names() -> impl Iterator<Item = &'static str> {
    NEEDED.iter().chain([&BROWSER, &MAKE, &RUBOCOP]).map(|(package, _)| *package)
}

/// Installs what is missing.
pub fn install() -> Result<()> {
    install_missing(&NEEDED)
}

/// Installs the browser, if it is missing.
pub fn browser() -> Result<()> {
    install_missing(&[BROWSER])
}

/// Installs what packages from source are built with, if it is missing.
pub fn make() -> Result<()> {
    install_missing(&[MAKE])
}

/// Installs what looks at Homebrew's formula, if it is missing.
pub fn rubocop() -> Result<()> {
    install_missing(&[RUBOCOP])
}

fn install_missing(packages: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<&str> =
        packages.iter().filter(|(_, program)| !installed(program)).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !nix::unistd::geteuid().is_root() {
        bail!("these packages are missing, and only root can install them: {}", missing.join(", "));
    }
    say(&format!("installing the Debian packages {}", missing.join(", ")));
    run(Command::new("apt-get").args(["update", "-q"])).context("apt-get update failed")?;
    quiet(
        Command::new("apt-get")
            .args(["install", "-y", "-q", "--no-install-recommends"])
            // Somebody else may be installing something.
            .args(["-o", LOCK_TIMEOUT])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

/// Makes sure of the users that Nix builds as; Debian's nix-bin does not always bring them.
pub fn build_users(count: u32) -> Result<()> {
    if text(Command::new("getent").args(["group", "nixbld"])).is_err() {
        say("adding the group nixbld");
        quiet(Command::new("groupadd").args(["--system", "nixbld"]))?;
    }
    for number in 1..=count {
        let name = format!("nixbld{number}");
        if text(Command::new("getent").args(["passwd", &name])).is_err() {
            say(&format!("adding the user {name}"));
            quiet(
                Command::new("useradd")
                    .args(["--system", "--no-create-home", "--home-dir", "/var/empty"])
                    .args(["--gid", "nixbld", "--groups", "nixbld", "--shell", "/usr/sbin/nologin", &name]),
            )?;
        }
    }
    Ok(())
}
