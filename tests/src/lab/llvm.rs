//! LLVM's programs that read what instrumented programs count, from Debian: it has them as new as the compiler is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::Lab;
use super::apt::{Suite, codename};
use crate::command::{command, text};

/// Debian keeps a recent LLVM here, for browsers.
const SUITE: &str = "bookworm-security";
const PACKAGES: [&str; 2] = ["llvm-22", "libllvm22"];
/// What reads profiles has to be of the version whose compiler counts.
const VERSION: &str = "22";
/// Libraries that LLVM needs and that the smallest Debian does not have.
const LIBRARIES: [&str; 3] = ["libedit2", "libz3-4", "libcurl4"];

/// llvm-profdata and llvm-cov.
#[derive(Clone, Debug)]
pub struct Llvm {
    root: PathBuf,
    libraries: PathBuf,
}

impl Llvm {
    /// Brings them, once.
    pub fn bring(lab: &Lab) -> Result<Llvm> {
        let compiler = text(command("rustc", ["--version", "--verbose"]).current_dir(lab.checkout()))?;
        let is_ours = |version: &str| version.split('.').next() == Some(VERSION);
        let version = compiler.lines().find_map(|line| line.strip_prefix("LLVM version: "));
        ensure!(version.is_some_and(is_ours), "the compiler has LLVM {version:?}, and Debian's is {VERSION}");
        let root = lab.once("llvm/programs", "bringing LLVM's programs", |at| {
            Suite::open(lab, SUITE)?.unpack(&PACKAGES, false, at)
        })?;
        let libraries = lab.once("llvm/libraries", "bringing libraries for them", |at| {
            Suite::open(lab, &codename()?)?.unpack(&LIBRARIES, false, at)
        })?;
        Ok(Llvm { root, libraries })
    }

    /// One of its programs, such as `llvm-cov`.
    pub fn program(&self, name: &str) -> Command {
        let library = |root: &PathBuf| root.join("usr/lib/x86_64-linux-gnu").into_os_string();
        let mut path = library(&self.root);
        path.push(":");
        path.push(library(&self.libraries));
        let mut program = Command::new(self.root.join(format!("usr/lib/llvm-{VERSION}/bin")).join(name));
        program.env("LD_LIBRARY_PATH", path);
        program
    }
}
