//! `cargo xtask test`: every test there is, those in the virtual machine included.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use super::{book, boots, check_macos, compare, fuzz, packaging, parity, probe, report, setup};
use crate::command::command;
use crate::lab::checkers::{CARGO_DENY, CARGO_SHEAR};
use crate::lab::cross::Toolchain;
use crate::lab::emulator::Emulator;
use crate::lab::new_nix::NewNix;
use crate::lab::ssh::Ssh;
use crate::lab::suites::Tools;
use crate::lab::{Lab, packages, say};
use crate::tally::Tally;

/// One boot's worth of cases takes about two minutes; a slow machine may need some times that.
const BOOT_LIMIT: Duration = Duration::from_secs(900);

/// What each boot runs; the longest first.
const BOOTS: &[&[&str]] = &[
    &["__vm-cases", "wait", "--on", "tmpfs"],
    &["__vm-cases", "clean", "--on", "tmpfs"],
    &["__vm-cases", "graph", "--on", "tmpfs"],
    &["__vm-suites", "--only", "pjdfstest", "--on", "loopbox", "--behind", "ext4"],
    &["__vm-suites", "--only", "pjdfstest"],
    &["__vm-cases", "carry", "--on", "loopbox"],
    &["__vm-cases", "carry", "--on", "tmpfs", "--on", "knfsd"],
    &["__vm-cases", "program", "--on", "tmpfs"],
    &["__vm-cases", "hide", "--on", "tmpfs"],
    &["__vm-cases", "hold", "--on", "tmpfs"],
    &["__vm-cases", "attacks", "--on", "tmpfs"],
    &["__vm-cases", "shell", "--on", "tmpfs"],
    &["__vm-cases", "nix", "--on", "tmpfs"],
    &["__vm-cases", "verify", "--on", "tmpfs"],
    &["__vm-cases", "backends", "--on", "tmpfs"],
    &["__vm-suites", "--only", "fsx", "--only", "fio", "--on", "loopbox", "--ops", "20000", "--size", "16"],
];

/// Which tests.
#[derive(Debug, Args)]
pub struct Options {
    /// Only this part.
    #[arg(long, value_enum)]
    only: Option<Part>,
}

/// A part of the tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Formatting, lints, documentation, the book, and what is depended on.
    Style,
    /// What needs no virtual machine.
    Host,
    /// The flake with its modules, the workflows of continuous integration, and the crates as they would be published.
    Packages,
    /// Type-checking and lints for macOS, and linking for one kind of Mac.
    Macos,
    /// The cases and the outside suites in the virtual machine.
    Vm,
    /// Reports of comparisons, in a browser.
    Report,
    /// The demonstration's graph, built in every way.
    Compare,
    /// The table of derivations, built by Nix's own sandbox and by loopbox.
    Parity,
    /// What a process sees, in Nix's own sandbox and in loopbox's.
    Probe,
}

/// Runs a part.
type Step = fn(&Lab) -> Result<Tally>;

/// Runs them, and prints how many passed and failed last.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?.testing();
    let start = Instant::now();
    setup::machine(&lab)?;
    let all: [(Part, Step); 9] = [
        (Part::Style, style),
        (Part::Host, |lab| Ok([host(lab)?, fuzz::briefly(lab)?].into_iter().sum())),
        (Part::Packages, packaging::check),
        (Part::Macos, check_macos::check_briefly),
        (Part::Vm, machines),
        (Part::Report, report::check),
        (Part::Compare, compare::run),
        (Part::Parity, |lab| {
            say("the table of derivations, with Nix's own sandbox and with loopbox");
            parity::compare(lab, None)
        }),
        (Part::Probe, probe::compare),
    ];
    let parts = all.into_iter().filter(|(part, _)| options.only.is_none_or(|only| only == *part));
    let (tally, took) = thread::scope(|scope| {
        if options.only.is_none() {
            scope.spawn(|| bring_ahead(&lab));
        }
        let mut tally = Tally::default();
        let mut took = Vec::new();
        for (part, step) in parts {
            let start = Instant::now();
            tally.add(step(&lab)?);
            took.push(format!("{part:?} {} s", start.elapsed().as_secs()));
        }
        anyhow::Ok((tally, took))
    })?;
    say(&format!("{}; {} s in all", took.join(", "), start.elapsed().as_secs()));
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Downloads what later parts need while the first ones compile. What fails is tried again, and told, by the part itself.
fn bring_ahead(lab: &Lab) {
    let _ = Emulator::bring(lab);
    let _ = Toolchain::bring(lab);
    let _ = NewNix::bring(lab);
    let _ = Ssh::bring(lab);
    let _ = packages::browser();
    let _ = Tools::bring(lab);
}

/// Formatting, lints, documentation, the book and dependencies; each counts as one test, and the book as two.
fn style(lab: &Lab) -> Result<Tally> {
    // Advisories are left out: their database is in no package registry.
    let deny = ["--locked", "--log-level", "error", "check", "bans", "licenses", "sources"];
    let shear = ["shear", "--locked", "--deny-warnings"];
    let (deny, shear) = (command(CARGO_DENY.bring(lab)?, deny), command(CARGO_SHEAR.bring(lab)?, shear));
    say("the book, formatting, lints, documentation, dependencies");
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    // With examples, cargo takes the features that clippy has just checked the dependencies with.
    let mut doc = cargo(lab, &["doc", "--workspace", "--no-deps", "--lib", "--bins", "--examples"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let steps = [cargo(lab, &["fmt", "--all", "--check"]), cargo(lab, &clippy), doc, deny, shear];
    let mut tally = book::check(lab)?;
    for mut step in steps {
        step.current_dir(lab.checkout()).stdin(Stdio::null());
        let status = step.status().with_context(|| format!("cannot start {step:?}"))?;
        tally.add(Tally::one(status.success()));
    }
    Ok(tally)
}

/// cargo's own tests.
fn host(lab: &Lab) -> Result<Tally> {
    say("compiling the tests of the host");
    let mut tally = Tally::default();
    if !cargo(lab, &["test", "--workspace", "--no-run"]).status().context("cannot start cargo")?.success() {
        // cargo has said why.
        tally.add(Tally::one(false));
        return Ok(tally);
    }
    say("tests on the host");
    let mut child = cargo(lab, &["test", "--quiet", "--workspace", "--no-fail-fast"])
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let lines = BufReader::new(child.stdout.take().context("cargo has no output")?).lines();
    for line in lines {
        let line = line?;
        println!("{line}");
        tally.add(Tally::parse_harness(&line).unwrap_or_default());
    }
    if !child.wait()?.success() && tally.failed == 0 {
        // It did not come as far as a closing line.
        tally.add(Tally::one(false));
    }
    Ok(tally)
}

/// The cases and the outside suites.
fn machines(lab: &Lab) -> Result<Tally> {
    let mut loopbox = OsString::from("LOOPBOX_PROGRAM=");
    loopbox.push(lab.loopbox()?);
    let command = ["env".into(), loopbox, lab.own_program()?.into()];
    Tools::bring(lab)?;
    NewNix::bring(lab)?;
    Ssh::bring(lab)?;
    Ok(boots::run(lab, &command, BOOTS, BOOT_LIMIT))
}

fn cargo(lab: &Lab, arguments: &[&str]) -> Command {
    let mut cargo = command("cargo", arguments);
    cargo.current_dir(lab.checkout()).stdin(Stdio::null());
    cargo
}
