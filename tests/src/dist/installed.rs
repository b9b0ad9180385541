//! What is installed of a program: manual pages, completions and units by `packaging/install.sh`, as everybody's, and besides the
//! licences of all that it is made of, and its bill of materials.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::command::{command, quiet};
use crate::lab::Lab;
use crate::lab::cross::Target;
use crate::parts::{self, Documents};

/// Puts a program and what belongs to it.
const INSTALL: &str = "packaging/install.sh";
/// What belongs to the program on every system, below the prefix.
const DOCUMENTS: &str = "share/doc/loopbox";

/// Installs a program for a target below the new directory `to`, as at `prefix`. `printer` is a program of the same version that runs
/// on this machine.
pub fn install(
    lab: &Lab,
    target: Target,
    program: &Path,
    printer: &Path,
    to: &Path,
    prefix: &str,
) -> Result<()> {
    crate::lab::remove(to)?;
    let system = if target.is_mac() { "Darwin" } else { "Linux" };
    quiet(
        command("sh", [INSTALL])
            .arg(program)
            .arg(prefix)
            .current_dir(lab.checkout())
            .env("DESTDIR", to)
            .env("PRINTER", printer)
            .env("SYSTEM", system),
    )?;
    let documents = to.join(prefix.trim_start_matches('/')).join(DOCUMENTS);
    let Documents { licences, bill } = parts::documents(lab, target)?;
    for (name, text) in [("licences.txt", licences), ("loopbox.cdx.json", bill)] {
        let path = documents.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}
