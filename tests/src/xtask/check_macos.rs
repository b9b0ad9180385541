//! `cargo xtask check-macos`: type-checks, lints and links loopbox and its tests for macOS. Nothing can be run.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::lab::macos::{TARGETS, Target, Toolchain};
use crate::lab::{Lab, packages, say};
use crate::tally::Tally;

/// What is compiled: all that runs on a Mac. The package `tests` drives a Linux machine and is not among it.
const PACKAGES: [&str; 4] = ["nfs-server", "mounter", "builder", "cli"];

/// The program itself.
const PROGRAM: &str = "loopbox";

/// What a program of 64 bits starts with (`MH_MAGIC_64` of `mach-o/loader.h`); its processor's number follows.
const MAGIC: u32 = 0xfeed_facf;

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
    let tally = check(&lab)?;
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a part of the tests: each kind of Mac counts as one.
pub fn check(lab: &Lab) -> Result<Tally> {
    let tools = Toolchain::bring(lab)?;
    say("type-checking, linting and linking for macOS");
    let start = Instant::now();
    let linked = link(lab, &tools)?;
    let mut tally = Tally::default();
    for target in TARGETS {
        let counted = linked.as_deref().map(|linked| look(&tools, target, linked));
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

/// Compiles and links everything for every target at once; nothing if that failed, of which cargo has told.
fn link(lab: &Lab, tools: &Toolchain) -> Result<Option<Vec<Linked>>> {
    let mut words = vec!["build", "--all-targets", "--keep-going"];
    words.push("--message-format=json-render-diagnostics");
    words.extend(PACKAGES.iter().flat_map(|package| ["--package", package]));
    let mut cargo = tools
        .cargo(lab, &words)
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
        check_header(&linked.program, target)?;
        program |= linked.name == PROGRAM && !linked.is_test;
        tests += usize::from(linked.is_test);
    }
    if !program || tests < PACKAGES.len() {
        bail!("{PROGRAM} or tests of a crate were not linked");
    }
    Ok(tests)
}

fn check_header(program: &Path, target: Target) -> Result<()> {
    let mut header = [[0; 4]; 2];
    let read = File::open(program).and_then(|mut file| file.read_exact(header.as_flattened_mut()));
    read.with_context(|| format!("cannot read {}", program.display()))?;
    if header.map(u32::from_le_bytes) != [MAGIC, target.processor] {
        bail!("{} is no program for this kind of Mac", program.display());
    }
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
