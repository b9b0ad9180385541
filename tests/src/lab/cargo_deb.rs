//! cargo-deb, which makes Debian's packages of what a manifest says.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::Lab;
use crate::command::{command, quiet};

/// The crate (MIT). No registry has it compiled.
const NAME: &str = "cargo-deb";
const VERSION: &str = "3.8.0";

/// The program.
#[derive(Clone, Debug)]
pub struct CargoDeb {
    program: PathBuf,
}

impl CargoDeb {
    /// Compiles it, once.
    pub fn bring(lab: &Lab) -> Result<CargoDeb> {
        let directory = lab.once(NAME, "compiling cargo-deb, which takes a minute", |at| {
            let words = ["install", "--quiet", "--locked", NAME, "--version", VERSION, "--root"];
            let build = lab.directory("cargo-deb-build")?;
            quiet(command("cargo", words).arg(at).arg("--target-dir").arg(&build))?;
            super::remove(&build)
        })?;
        Ok(CargoDeb { program: directory.join("bin").join(NAME) })
    }

    /// Packs a crate's files for a kind of processor, with the time of what is packed in seconds since 1970.
    pub fn pack(&self, package: &str, target: &str, time: &str) -> Command {
        let words = ["deb", "--quiet", "--no-build", "--no-strip", "--package", package, "--target", target];
        let mut pack = command(&self.program, words);
        pack.env("SOURCE_DATE_EPOCH", time);
        pack
    }
}
