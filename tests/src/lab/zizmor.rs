//! zizmor, which reads workflows as the forge does, and finds what is wrong or dangerous in them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Lab, pypi};
use crate::command::command;

/// The package on PyPI, which has the program as its project releases it (MIT).
const PACKAGE: &str = "zizmor==1.32.0";
/// The program in it.
const PROGRAM: &str = "zizmor";

/// The program.
#[derive(Clone, Debug)]
pub struct Zizmor {
    program: PathBuf,
}

impl Zizmor {
    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<Zizmor> {
        let directory = lab.once(PROGRAM, "bringing zizmor", |at| {
            fs::create_dir_all(at)?;
            pypi::program(lab, PACKAGE, PROGRAM, at)
        })?;
        Ok(Zizmor { program: directory.join(PROGRAM) })
    }

    /// Looks at the workflows of a directory, without a network. It succeeds if it finds nothing.
    pub fn check(&self, workflows: &Path) -> Command {
        let mut check = command(&self.program, ["--offline", "--no-progress", "--strict-collection"]);
        check.arg(workflows);
        check
    }
}
