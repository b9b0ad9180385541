//! `cargo xtask report`: the pages that loopbox writes, in a browser: they may ask for nothing and complain of nothing.

mod accesses;
mod schema;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::setup;
use crate::demo::Workload;
use crate::demo::ways::machine;
use crate::lab::browser::devtools::OpenPage;
use crate::lab::browser::{Noticed, show};
use crate::lab::{Lab, packages, say};
use crate::tally::Tally;
use crate::vm::Output;

/// The variable that names the directory for what the case leaves, which is in `tests/src/cases/backends.rs`.
pub const REPORTS: &str = "LOOPBOX_REPORTS";
/// What the case leaves: builds of every verdict, and a view.
pub const NAMES: [&str; 2] = ["builds", "view"];

/// Windows, in pixels: of a desk, and of a telephone.
const WINDOWS: [(&str, (u32, u32)); 2] = [("wide", (1200, 4200)), ("narrow", (480, 6000))];

/// A page that does what a report must not.
const BAD: &str = "<img src=\"http://example.invalid/x.png\"><script>console.error('wrong')</script>";

/// Which pages.
#[derive(Debug, Args)]
pub struct Options {
    /// Only those of access reports, which need no virtual machine.
    #[arg(long)]
    accesses: bool,
}

/// Makes reports, those of comparisons in the virtual machine, and opens their pages.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    let tally = if options.accesses {
        check_accesses(&lab)?
    } else {
        setup::machine(&lab)?;
        check(&lab)?
    };
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a part of the tests: each report of a comparison counts once for each window.
pub fn check(lab: &Lab) -> Result<Tally> {
    let mut tally = check_accesses(lab)?;
    let directory = lab.kept("report")?;
    say("reports of comparisons, in a browser");
    make(lab, &directory)?;
    for name in NAMES {
        let page = directory.join(name).with_extension("html");
        for (window, size) in WINDOWS {
            let picture = directory.join(format!("{name}-{window}.png"));
            let Noticed { console, requests } = show(&page, size, &picture)?;
            let good = console.is_empty() && requests.is_empty();
            let how = if good { "ok".into() } else { format!("FAILED: {console:?} {requests:?}") };
            println!("{} ... {how}", picture.display());
            tally.add(Tally::one(good));
        }
    }
    Ok(tally)
}

/// Makes sure that the browser tells what a page does, and tries the pages of access reports.
fn check_accesses(lab: &Lab) -> Result<Tally> {
    packages::browser()?;
    let directory = lab.kept("report")?;
    let bad = directory.join("bad.html");
    fs::write(&bad, BAD).context("cannot write a page")?;
    let size = WINDOWS[0].1;
    let shown = show(&bad, size, &bad.with_extension("png"))?;
    let opened = OpenPage::open(&bad, size, &bad.with_extension("profile"))?.close()?;
    for noticed in [shown, opened] {
        if noticed.console.is_empty() || noticed.requests.is_empty() {
            bail!("the browser does not tell what a page does: {noticed:?}");
        }
    }
    accesses::check(lab, &directory)
}

/// Has the case of the machine leave its reports.
fn make(lab: &Lab, directory: &Path) -> Result<()> {
    let pages: Vec<PathBuf> = NAMES.iter().map(|name| directory.join(name).with_extension("html")).collect();
    pages.iter().try_for_each(|page| crate::lab::remove(page))?;
    let words = [
        "env".into(),
        format!("LOOPBOX_PROGRAM={}", lab.loopbox()?.display()),
        format!("{REPORTS}={}", directory.display()),
        lab.own_program()?.display().to_string(),
        "__vm-cases".into(),
        "backends".into(),
        "--on".into(),
        "tmpfs".into(),
        "--filter".into(),
        "a_report".into(),
    ];
    let finished = machine(&Workload::prepare(lab)?).run(lab, &words.map(Into::into), Output::Capture)?;
    if finished.status != 0 || !pages.iter().all(|page| page.exists()) {
        bail!("no reports were made:\n{}", String::from_utf8_lossy(&finished.stdout));
    }
    Ok(())
}
