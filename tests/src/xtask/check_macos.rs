//! `cargo xtask check-macos`: type-checks, lints and links loopbox and its tests for macOS. Nothing can be run.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::lab::cross::{MACS, OLDEST, Target, Toolchain};
use crate::lab::{Lab, packages, say};
use crate::mach::Program;
use crate::tally::Tally;

/// What is compiled: all that runs on a Mac. The package `tests` drives a Linux machine and is not among it.
const PACKAGES: [&str; 5] =
    ["loopbox-nfs-server", "loopbox-mounter", "loopbox-sandbox", "loopbox-builder", "loopbox"];

/// Nothing of it is run, so nothing is worth optimising. Without lines for a debugger in loopbox's own crates either, cargo would have
/// it stripped, which takes a program that Debian does not have for this.
const UNOPTIMISED: [&str; 3] = [
    "profile.dev.package.\"*\".opt-level=0",
    "profile.dev.package.loopbox-nfs-server.opt-level=0",
    "profile.dev.package.\"*\".debug=false",
];

/// The program itself.
const PROGRAM: &str = "loopbox";

/// Something that was linked.
struct Linked {
    /// The crate, or the file of tests.
    name: String,
    program: PathBuf,
    is_test: bool,
}

/// Brings the tools, then makes the program and its tests for both kinds of Mac.
pub fn run() -> Result<ExitCode> {
    let lab = Lab::open()?;
    packages::install()?;
    let tally = check(&lab, &MACS)?;
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a part of the tests, which have little time: what is made for one kind of Mac has its types and lints checked for
/// the other.
pub fn check_briefly(lab: &Lab) -> Result<Tally> {
    check(lab, &MACS[..1])
}

/// Links for some kinds of Mac, and checks for the others; each counts as one.
fn check(lab: &Lab, linked: &[Target]) -> Result<Tally> {
    let tools = Toolchain::bring(lab)?;
    let start = Instant::now();
    let mut tally = Tally::default();
    let others: Vec<Target> =
        MACS.into_iter().filter(|target| linked.iter().all(|other| other.triple != target.triple)).collect();
    for target in &others {
        say(&format!("type-checking and linting for {}", target.triple));
        let checked =
            tools.lint(&mut tools.cargo(lab, &[*target], &words("check"))).stdin(Stdio::null()).status();
        tally.add(Tally::one(checked.context("cannot start cargo")?.success()));
    }
    say("type-checking, linting and linking for macOS");
    let made = link(lab, &tools, linked)?;
    for target in linked {
        let counted = made.as_deref().map(|made| look(&tools, *target, made));
        tally.add(Tally::one(matches!(counted, Some(Ok(_)))));
        match counted {
            Some(Ok(tests)) => {
                println!("{}: linked {PROGRAM} and {tests} programs of tests", target.triple);
            }
            Some(Err(error)) => println!("{}: {error:#}", target.triple),
            // cargo has said why.
            None => {}
        }
    }
    say(&format!("macOS took {} s", start.elapsed().as_secs()));
    Ok(tally)
}

/// Everything that runs on a Mac.
fn words(what: &'static str) -> Vec<&'static str> {
    let mut words = vec![what, "--all-targets", "--keep-going"];
    words.extend(UNOPTIMISED.iter().flat_map(|setting| ["--config", setting]));
    words.extend(PACKAGES.iter().flat_map(|package| ["--package", package]));
    words
}

/// Compiles and links everything for some targets at once; nothing if that failed, of which cargo has told.
fn link(lab: &Lab, tools: &Toolchain, targets: &[Target]) -> Result<Option<Vec<Linked>>> {
    let mut words = words("build");
    words.push("--message-format=json-render-diagnostics");
    let mut cargo = tools
        .lint(&mut tools.cargo(lab, targets, &words))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    let mut linked = Vec::new();
    for line in BufReader::new(cargo.stdout.take().context("cargo has no output")?).lines() {
        linked.extend(artifact(&line?)?);
    }
    Ok(cargo.wait()?.success().then_some(linked))
}

/// What a message of cargo says was linked, if anything.
fn artifact(line: &str) -> Result<Option<Linked>> {
    let message: serde_json::Value = serde_json::from_str(line).context("cargo wrote what is no JSON")?;
    let (Some(program), Some(name)) = (message["executable"].as_str(), message["target"]["name"].as_str())
    else {
        return Ok(None);
    };
    let is_test = message["profile"]["test"].as_bool() == Some(true);
    Ok(Some(Linked { name: name.into(), program: program.into(), is_test }))
}

/// Looks at what was linked for a target; answers how many programs of tests are among it.
fn look(tools: &Toolchain, target: Target, linked: &[Linked]) -> Result<usize> {
    let place = tools.build(target);
    let (mut program, mut tests) = (false, 0);
    for linked in linked.iter().filter(|linked| linked.program.starts_with(&place)) {
        check_start(&linked.program, target)?;
        program |= linked.name == PROGRAM && !linked.is_test;
        tests += usize::from(linked.is_test);
    }
    if !program || tests < PACKAGES.len() {
        bail!("{PROGRAM} or tests of a crate were not linked");
    }
    Ok(tests)
}

/// It is for this kind of Mac, and for the systems that it is meant for.
fn check_start(path: &Path, target: Target) -> Result<()> {
    let (program, path) = (Program::open(path)?, path.display());
    ensure!(target.triple.starts_with(program.processor), "{path} is for {}", program.processor);
    let (major, minor) = OLDEST;
    let oldest = program.oldest;
    ensure!(oldest == Some(OLDEST), "{path} is for {oldest:?} and later, not for macOS {major}.{minor}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::artifact;

    #[test]
    fn programs_are_found_in_what_cargo_says() {
        let test = r#"{"reason":"compiler-artifact","target":{"name":"wire"},"profile":{"test":true},"executable":"/t/wire-1"}"#;
        let found = artifact(test).unwrap().unwrap();
        assert_eq!((found.name.as_str(), found.is_test), ("wire", true));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"builder"},"executable":null}"#;
        assert!(artifact(library).unwrap().is_none());
        assert!(artifact(r#"{"reason":"build-finished","success":true}"#).unwrap().is_none());
        assert!(artifact("warning").is_err());
    }
}
