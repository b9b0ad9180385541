//! The image: Debian's smallest system, and what a machine with `cargo` has besides.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::command::{command, text};
use crate::lab::{Lab, debian, packages};

/// The README's release.
const RELEASE: &str = "bookworm";
/// What "with Rust's cargo" takes for granted, beside the smallest system: the linker that rustc calls with the C
/// library's files for it, and the certificates of the package registries.
const WITH_CARGO: [&str; 3] = ["gcc", "libc6-dev", "ca-certificates"];
/// What set-up asks for and Debian's smallest system has.
const PRESENT: [&str; 2] = ["e2fsprogs", "util-linux"];
/// What may not be there: a kernel's modules, a Nix store, something that a build of loopbox left.
const ABSENT: [&str; 5] =
    ["lib/modules", "usr/lib/modules", "nix", "root/.cargo/registry", "root/loopbox/target"];

/// Makes it, once.
pub fn bring(lab: &Lab) -> Result<PathBuf> {
    debian::root(lab, RELEASE, RELEASE, &WITH_CARGO)
}

/// The root is fresh: it has nothing that set-up is there to bring.
pub fn check(root: &Path) -> Result<()> {
    for path in ABSENT {
        ensure!(
            root.join(path).symlink_metadata().is_err(),
            "/{path} is there already, in {}",
            root.display()
        );
    }
    let list = text(command("dpkg-query", ["--show", "--showformat=${Package}\n"]).arg(admin(root)))?;
    let found: Vec<&str> = packages::names().filter(|name| list.lines().any(|line| line == *name)).collect();
    let unexpected: Vec<_> = found.iter().filter(|name| !PRESENT.contains(name)).collect();
    ensure!(
        unexpected.is_empty(),
        "{} has packages that set-up is to install: {unexpected:?}",
        root.display()
    );
    Ok(())
}

fn admin(root: &Path) -> String {
    format!("--admindir={}", root.join("var/lib/dpkg").display())
}
