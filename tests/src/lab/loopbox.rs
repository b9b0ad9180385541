//! Which loopbox is tested, shown and measured.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Lab, say};
use crate::command::{command, run, text};

/// The program's name, as cargo calls it.
const NAME: &str = "loopbox";

/// How it is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// As it is for use, with one backend more that is there to compare with.
    Release,
    /// As the tests on the host are: with assertions and checked arithmetic, and without the minutes of the optimiser.
    Tested,
}

impl Build {
    /// The tests' is one of the whole workspace, so that nothing is compiled for it alone.
    fn words(self) -> &'static [&'static str] {
        match self {
            Build::Release => &["build", "--release", "--package", "loopbox", "--features", "nfsserve"],
            Build::Tested => &["build", "--workspace"],
        }
    }
}

impl Lab {
    /// The same lab, for tests.
    pub fn testing(self) -> Lab {
        Lab { build: Build::Tested, ..self }
    }

    /// The program, compiled when it has to be; `LOOPBOX_PROGRAM` names another one.
    pub fn loopbox(&self) -> Result<PathBuf> {
        if let Some(program) = env::var_os("LOOPBOX_PROGRAM") {
            say(&format!("using {}", program.display()));
            return Ok(program.into());
        }
        run(&mut self.cargo(self.build.words()))?;
        // Everything is fresh now: this only asks where the program is.
        let messages = text(self.cargo(self.build.words()).args(["--message-format", "json"]))?;
        let file = messages.lines().find_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            let ours = message["target"]["name"].as_str() == Some(NAME);
            message["executable"].as_str().filter(|_| ours).map(PathBuf::from)
        });
        file.context("cargo built no program")
    }

    fn cargo(&self, words: &[&str]) -> Command {
        let mut cargo = command("cargo", words);
        cargo.current_dir(self.checkout());
        cargo
    }
}
