//! `cargo xtask check-macos`: type-checks, lints and links loopbox and its tests for macOS. Nothing can be run.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use goblin::container::Endian;
use goblin::mach::load_command::{CommandVariant, LoadCommand};

use crate::lab::macos::{OLDEST, TARGETS, Target, Toolchain};
use crate::lab::{Lab, packages, say};
use crate::tally::Tally;

/// What is compiled: all that runs on a Mac. The package `tests` drives a Linux machine and is not among it.
const PACKAGES: [&str; 5] =
    ["loopbox-nfs-server", "loopbox-mounter", "loopbox-sandbox", "loopbox-builder", "loopbox"];

/// Nothing of it is run, so nothing is worth optimising.
const UNOPTIMISED: [&str; 2] =
    ["profile.dev.package.\"*\".opt-level=0", "profile.dev.package.loopbox-nfs-server.opt-level=0"];

/// The program itself.
const PROGRAM: &str = "loopbox";

/// What a program of 64 bits starts with (`MH_MAGIC_64` of `mach-o/loader.h`); its processor's number follows.
const MAGIC: u32 = 0xfeed_facf;
/// The numbers of its header (`mach_header_64`); the fifth is how many load commands follow.
const HEADER: usize = 8;
const COMMANDS: usize = 4;
/// The most that is read of a program, in bytes: far more than its load commands take.
const BEGINNING_MAX: u64 = 1 << 16;

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
    let tally = check(&lab, &TARGETS)?;
    println!("{tally}");
    Ok(if tally.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The same as a part of the tests, which have little time: what is made for one kind of Mac has its types and lints checked for
/// the other.
pub fn check_briefly(lab: &Lab) -> Result<Tally> {
    check(lab, &TARGETS[..1])
}

/// Links for some kinds of Mac, and checks for the others; each counts as one.
fn check(lab: &Lab, linked: &[Target]) -> Result<Tally> {
    let tools = Toolchain::bring(lab)?;
    let start = Instant::now();
    let mut tally = Tally::default();
    let others: Vec<Target> = TARGETS
        .into_iter()
        .filter(|target| linked.iter().all(|other| other.triple != target.triple))
        .collect();
    for target in &others {
        say(&format!("type-checking and linting for {}", target.triple));
        let checked = tools.cargo(lab, &[*target], &words("check")).stdin(Stdio::null()).status();
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
        .cargo(lab, targets, &words)
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
    let mut beginning = Vec::new();
    let read = File::open(program).and_then(|file| file.take(BEGINNING_MAX).read_to_end(&mut beginning));
    read.with_context(|| format!("cannot read {}", program.display()))?;
    let header = header(&beginning).with_context(|| format!("{} is no program", program.display()))?;
    if header[..2] != [MAGIC, target.processor] {
        bail!("{} is no program for this kind of Mac", program.display());
    }
    let oldest = oldest(&beginning, header[COMMANDS]);
    if oldest != Some(OLDEST) {
        let (program, (major, minor)) = (program.display(), OLDEST);
        bail!("{program} is for {oldest:?} and later, not for macOS {major}.{minor}");
    }
    Ok(())
}

fn header(program: &[u8]) -> Option<[u32; HEADER]> {
    let (numbers, _) = program.as_chunks::<4>();
    Some(numbers.first_chunk::<HEADER>()?.map(u32::from_le_bytes))
}

/// The oldest macOS that a program's load commands let it start on (`LC_BUILD_VERSION`), as major and minor version.
fn oldest(program: &[u8], commands: u32) -> Option<(u32, u32)> {
    let mut at = HEADER * 4;
    (0..commands).map_while(|_| LoadCommand::parse(program, &mut at, Endian::Little).ok()).find_map(|found| {
        match found.command {
            CommandVariant::BuildVersion(version) => Some((version.minos >> 16, version.minos >> 8 & 0xff)),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{COMMANDS, MAGIC, artifact, header, oldest};

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

    #[test]
    fn a_program_says_what_system_it_needs() {
        const UUID: u32 = 0x1b;
        const BUILD_VERSION: u32 = 0x32;
        let header_of = [MAGIC, 0x0100_000c, 0, 2, 2, 48, 0, 0];
        let commands = [UUID, 24, 1, 2, 3, 4, BUILD_VERSION, 24, 1, 0x000c_0300, 0x000f_0000, 0];
        let program: Vec<u8> =
            header_of.iter().chain(&commands).flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(header(&program).unwrap()[COMMANDS], 2);
        assert_eq!(oldest(&program, 2), Some((12, 3)));
        assert_eq!(oldest(&program, 1), None);
        assert_eq!(oldest(&program[..60], 2), None);
        assert_eq!(header(b"#!/bin/sh"), None);
    }
}
