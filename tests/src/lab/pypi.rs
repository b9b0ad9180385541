//! Packages of PyPI: compilers and checkers that are published there as programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Lab;
use crate::command::{command, quiet};

/// Downloads one package, `name==version`, and unpacks its wheel into the new directory `at`. Nothing is installed.
pub fn unpack(lab: &Lab, package: &str, at: &Path) -> Result<()> {
    let wheels = lab.directory(&format!("wheels/{package}"))?;
    quiet(
        command("pip3", ["download", "-q", "--no-deps", "--only-binary", ":all:", package, "-d"])
            .arg(&wheels),
    )?;
    let wheel =
        fs::read_dir(&wheels)?.next().with_context(|| format!("PyPI has no wheel of {package}"))??;
    quiet(command("python3", ["-m", "zipfile", "-e"]).arg(wheel.path()).arg(at))
}
