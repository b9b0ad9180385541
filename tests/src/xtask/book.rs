//! `cargo xtask book`: the pages in docs/ as a site, in which every link leads somewhere.

use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result};

use crate::command::command;
use crate::lab::checkers::MDBOOK;
use crate::lab::{Lab, packages, say};
use crate::site::broken_links;
use crate::tally::Tally;

/// The book, from the top of the checkout.
const BOOK: &str = "docs";
/// Where its book.toml has the site made.
const SITE: &str = "target/book";
/// What mdBook's complaints have in their lines, though it succeeds.
const WARNING: &str = "WARN ";

/// Makes the site, and says where it is.
pub fn run() -> Result<ExitCode> {
    let lab = Lab::open()?;
    packages::install()?;
    let tally = check(&lab)?;
    if !tally.good() {
        return Ok(ExitCode::FAILURE);
    }
    println!("{}", lab.checkout().join(SITE).join("index.html").display());
    Ok(ExitCode::SUCCESS)
}

/// Makes the site and looks at its links: two tests.
pub fn check(lab: &Lab) -> Result<Tally> {
    let mut build = command(MDBOOK.bring(lab)?, ["build"]);
    build.arg(lab.checkout().join(BOOK));
    let output = build.stdin(Stdio::null()).output().with_context(|| format!("cannot start {build:?}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let made = output.status.success() && !told.contains(WARNING);
    if !made {
        say(&format!("{BOOK}: {}\n{}", output.status, told.trim_end()));
    }
    if !output.status.success() {
        return Ok(Tally::one(false));
    }
    let broken = broken_links(&lab.checkout().join(SITE))?;
    broken.iter().for_each(|link| say(&format!("{SITE}/{link}")));
    Ok([Tally::one(made), Tally::one(broken.is_empty())].into_iter().sum())
}
