//! Debian systems made from nothing, as directories: with their packages set up, and nothing of them on this machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Lab;
use super::apt::{self, Suite};
use crate::command::{command, quiet};

/// Where they are kept, in the lab.
pub const DIRECTORY: &str = "fresh";
/// Debian's program that makes a root from packages: one script, which is unpacked and not installed.
const MAKER: &str = "mmdebstrap";
/// No daemon is started when its package is installed, as in every container: the network is this machine's.
const NO_DAEMONS: &str = "#!/bin/sh\nexit 101\n";

/// Makes one, once: the smallest system of a release, and these packages.
pub fn root(lab: &Lab, name: &str, release: &str, packages: &[&str]) -> Result<PathBuf> {
    let maker = lab.once(&format!("{DIRECTORY}/{MAKER}"), "bringing mmdebstrap", |at| {
        Suite::open(lab, release)?.unpack(&[MAKER], false, at)
    })?;
    lab.once(&format!("{DIRECTORY}/{name}"), &format!("making a Debian {release} from nothing"), |at| {
        let sources = at.with_extension("list");
        fs::write(&sources, apt::sources(release)?)?;
        let mut words =
            vec!["--mode=root".to_owned(), "--variant=minbase".into(), "--format=directory".into()];
        if !packages.is_empty() {
            words.push(format!("--include={}", packages.join(",")));
        }
        words.extend(apt::acquire()?.iter().map(|line| format!("--aptopt={line}")));
        // What it mounts in the root ends with it, also if it is killed.
        quiet(
            command("unshare", ["--mount", "--propagation", "private", "--", "perl"])
                .arg(maker.join("usr/bin").join(MAKER))
                .args(words)
                .arg(release)
                .arg(at)
                .arg(&sources),
        )?;
        forbid_daemons(at)?;
        fs::remove_file(&sources).context("cannot remove the list of sources")
    })
}

fn forbid_daemons(root: &Path) -> Result<()> {
    let policy = root.join("usr/sbin/policy-rc.d");
    fs::write(&policy, NO_DAEMONS)?;
    quiet(command("chmod", ["755"]).arg(&policy))
}
