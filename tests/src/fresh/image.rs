//! The image: Debian's smallest system, and what a machine with `cargo` has besides.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::DIRECTORY;
use crate::command::{command, quiet, text};
use crate::lab::apt::{self, Suite};
use crate::lab::{Lab, packages};

/// The README's release.
const RELEASE: &str = "bookworm";
/// Debian's program that makes a root from packages: one script, which is unpacked and not installed.
const MAKER: &str = "mmdebstrap";
/// What "with Rust's cargo" takes for granted, beside the smallest system: the linker that rustc calls with the C
/// library's files for it, and the certificates of the package registries.
const WITH_CARGO: [&str; 3] = ["gcc", "libc6-dev", "ca-certificates"];
/// What set-up asks for and Debian's smallest system has.
const PRESENT: [&str; 2] = ["e2fsprogs", "util-linux"];
/// What may not be there: a kernel's modules, a Nix store, something that a build of loopbox left.
const ABSENT: [&str; 5] =
    ["lib/modules", "usr/lib/modules", "nix", "root/.cargo/registry", "root/loopbox/target"];
/// No daemon is started when its package is installed, as in every container: the network is this machine's.
const NO_DAEMONS: &str = "#!/bin/sh\nexit 101\n";

/// Makes it, once.
pub fn bring(lab: &Lab) -> Result<PathBuf> {
    let maker = lab.once(&format!("{DIRECTORY}/{MAKER}"), "bringing mmdebstrap", |at| {
        Suite::open(lab, RELEASE)?.unpack(&[MAKER], false, at)
    })?;
    lab.once(&format!("{DIRECTORY}/{RELEASE}"), "making a minimal Debian from nothing", |at| {
        let sources = at.with_extension("list");
        fs::write(&sources, apt::sources(RELEASE)?)?;
        let mut words =
            vec!["--mode=root".to_owned(), "--variant=minbase".into(), "--format=directory".into()];
        words.push(format!("--include={}", WITH_CARGO.join(",")));
        words.extend(apt::acquire()?.iter().map(|line| format!("--aptopt={line}")));
        quiet(
            command("perl", [maker.join("usr/bin").join(MAKER)])
                .args(words)
                .arg(RELEASE)
                .arg(at)
                .arg(&sources),
        )?;
        let policy = at.join("usr/sbin/policy-rc.d");
        fs::write(&policy, NO_DAEMONS)?;
        quiet(command("chmod", ["755"]).arg(&policy))?;
        fs::remove_file(&sources).context("cannot remove the list of sources")
    })
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
