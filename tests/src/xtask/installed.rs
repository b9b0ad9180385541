//! `cargo xtask installed`: the Debian package, installed in systems that are made from nothing, and used there.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::setup;
use crate::cases::installed::PACKAGE;
use crate::dist::Release;
use crate::lab::{Lab, debian, say};
use crate::tally::Tally;
use crate::vm::{Output, Vm, root};

/// How long one system may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Each system by its name: Debian's release, the packages that it has besides the smallest ones, and the case that it is for.
const SYSTEMS: [(&str, &str, &[&str], &str); 7] = [
    ("bookworm-alone", "bookworm", &[], WITHOUT_NIX),
    ("trixie-alone", "trixie", &[], WITHOUT_NIX),
    ("bookworm-nix", "bookworm", &NIX, WITH_NIX),
    ("trixie-nix", "trixie", &NIX, WITH_NIX),
    ("forky-nix", "forky", &NIX, WITH_NIX),
    ("forky-systemd", "forky", &SYSTEMD, "under_systemd"),
    ("bookworm-tools", "bookworm", &TOOLS, "as_the_readme_says"),
];
const WITHOUT_NIX: &str = "without_nix";
const WITH_NIX: &str = "with_nix";
/// Nix with its daemon's users, and a static shell for its builds.
const NIX: [&str; 3] = ["nix-bin", "nix-setup-systemd", "busybox-static"];

/// The same, and what starts its daemon.
const SYSTEMD: [&str; 5] = ["nix-bin", "nix-setup-systemd", "busybox-static", "systemd", "dbus"];

/// Nix, and what somebody who writes programs has.
const TOOLS: [&str; 7] =
    ["nix-bin", "nix-setup-systemd", "busybox-static", "gcc", "libc6-dev", "make", "git"];

/// Which package, where.
#[derive(Debug, Args)]
pub struct Options {
    /// This package; else it is made as 'cargo xtask dist' makes it.
    #[arg(long, value_name = "FILE")]
    deb: Option<PathBuf>,
    /// Only in systems whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
}

/// Prints how many systems it works in.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let directory = lab.directory("installed")?;
    let package = match &options.deb {
        Some(file) => brought(file, &directory)?,
        None => Release::start(lab.clone())?.debian_package(&directory)?,
    };
    let systems = SYSTEMS.iter().filter(|(name, ..)| name.contains(&options.filter));
    let mut tally = Tally::default();
    for (name, release, packages, case) in systems {
        say(&format!("{name}: {}", package.display()));
        let system = debian::root(&lab, name, release, packages)?;
        let counted = within(&lab, &system, &package, case);
        counted.as_ref().err().into_iter().for_each(|error| say(&format!("{name}: {error:#}")));
        tally.add(Tally::one(counted.is_ok()));
    }
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A copy of a package where the systems see it; apt goes by the end of its name.
fn brought(package: &Path, directory: &Path) -> Result<PathBuf> {
    let copy = directory.join("given.deb");
    fs::copy(package, &copy).with_context(|| format!("cannot copy {}", package.display()))?;
    Ok(copy)
}

/// Runs a case in the virtual machine, with a system as its root.
fn within(lab: &Lab, system: &Path, package: &Path, case: &str) -> Result<()> {
    let mut words = root::words(lab, system, [lab.checkout()])?;
    let mut variable = OsString::from(format!("{PACKAGE}="));
    variable.push(package);
    words.extend(["env".into(), variable, lab.own_program()?.into()]);
    words.extend(["__vm-cases", "installed", "--on", "tmpfs", "--filter", case].map(OsString::from));
    let finished = Vm { timeout: PATIENCE, ..Vm::default() }.run(lab, &words, Output::Show)?;
    ensure!(finished.status == 0, "ended with {}", finished.status);
    Ok(())
}
