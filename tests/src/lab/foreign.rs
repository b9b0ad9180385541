//! QEMU's user-mode emulator, which runs a program for another processor as a process of this machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::Lab;
use super::apt::{Suite, codename};
use crate::command::command;

/// The package, whose programs need no library.
const PACKAGE: &str = "qemu-user-static";

/// The emulators, one for each processor.
#[derive(Clone, Debug)]
pub struct Foreign {
    directory: PathBuf,
}

impl Foreign {
    /// Brings them, once.
    pub fn bring(lab: &Lab) -> Result<Foreign> {
        let root = lab.once("foreign", "bringing emulators of other processors", |at| {
            Suite::open(lab, &codename()?)?.unpack(&[PACKAGE], false, at)
        })?;
        Ok(Foreign { directory: root.join("usr/bin") })
    }

    /// A program for a processor, ready to be given its words and started.
    pub fn run(&self, processor: &str, program: &Path) -> Command {
        command(self.directory.join(format!("qemu-{processor}-static")), [program])
    }
}
