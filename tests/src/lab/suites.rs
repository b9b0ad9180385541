//! The outside suites: two crates, compiled, and two of Debian's programs with the libraries that they need.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Lab;
use super::apt::{Suite, codename};
use crate::command::{command, quiet};

/// The crates, each a program of the same name.
const CRATES: [&str; 2] = ["pjdfstest@0.2.2", "fsx@0.3.2"];
/// Debian's packages.
const PACKAGES: [&str; 2] = ["dbench", "fio"];
/// Where those packages have libraries; the last is one that librados looks for by an absolute path.
const LIBRARIES: [&str; 3] =
    ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/ceph"];

/// The programs.
#[derive(Clone, Debug)]
pub struct Tools {
    crates: PathBuf,
    debian: PathBuf,
}

impl Tools {
    /// Brings and compiles them, once.
    pub fn bring(lab: &Lab) -> Result<Tools> {
        let crates = lab.once("suites/crates", "compiling pjdfstest and fsx", |at| {
            // Not optimised: they wait for the file system.
            quiet(
                command("cargo", ["install", "--quiet", "--debug", "--locked", "--root"])
                    .arg(at)
                    .args(CRATES),
            )
        })?;
        let debian = lab.once("suites/debian", "bringing dbench and fio", |at| {
            Suite::open(lab, &codename()?)?.unpack(&PACKAGES, true, at)
        })?;
        Ok(Tools { crates, debian })
    }

    /// The program of a crate.
    pub fn program(&self, name: &str) -> PathBuf {
        self.crates.join("bin").join(name)
    }

    /// A command of Debian's, started by the loader that came with it: its libraries belong to that one.
    pub fn debian(&self, name: &str) -> Command {
        let libraries: Vec<PathBuf> = LIBRARIES.iter().map(|library| self.debian.join(library)).collect();
        let libraries: Vec<&str> = libraries.iter().filter_map(|library| library.to_str()).collect();
        let mut words = command(
            self.debian.join("lib64/ld-linux-x86-64.so.2"),
            ["--library-path", libraries.join(":").as_str()],
        );
        words.arg(self.debian.join("usr/bin").join(name));
        words
    }

    /// What dbench's clients do: the calls of a file server's day.
    pub fn dbench_load(&self) -> PathBuf {
        self.debian.join(Path::new("usr/share/dbench/client.txt"))
    }
}
