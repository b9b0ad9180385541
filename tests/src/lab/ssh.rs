//! The server of OpenSSH, as Debian has it: for machines that others let build.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::Lab;
use super::apt::{Suite, codename};

/// Debian's packages; the server needs what makes keys.
const PACKAGES: [&str; 1] = ["openssh-server"];
/// Where they and what they depend on have libraries.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];
/// The loader that comes with them.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// The programs.
#[derive(Clone, Debug)]
pub struct Ssh {
    root: PathBuf,
}

impl Ssh {
    /// Brings them, once.
    pub fn bring(lab: &Lab) -> Result<Ssh> {
        let root = lab.once("ssh", "bringing OpenSSH", |at| {
            Suite::open(lab, &codename()?)?.unpack(&PACKAGES, true, at)
        })?;
        Ok(Ssh { root })
    }

    /// The words that start a program of it, in whatever system.
    pub fn words(&self, program: &str) -> String {
        let libraries = LIBRARIES.map(|library| self.root.join(library).display().to_string());
        let (loader, program) = (self.root.join(LOADER), self.root.join(Path::new("usr")).join(program));
        format!("{} --library-path {} {}", loader.display(), libraries.join(":"), program.display())
    }
}
