//! `cargo xtask coverage`: how many lines of the server, of what runs a program in a view, and of what makes outputs of what a build
//! left are executed by the tests on the host, the fuzzers and the cases in the virtual machine.

mod lines;
mod machine;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use self::lines::Lines;
use super::setup;
use crate::command::{command, run as run_command, text};
use crate::lab::llvm::Llvm;
use crate::lab::{Lab, remove, say};

/// What is counted: how the paths of its files begin, and how much of it has to be executed, in percent.
const PARTS: [(&str, f64); 3] =
    [("nfs-server/src/", 90.0), ("sandbox/src/", 85.0), ("builder/src/output", 85.0)];
/// Crates whose tests are run on the host.
const CRATES: [&str; 3] = ["nfs-server", "sandbox", "builder"];
/// The directory that profiles are written to.
const PROFILES: &str = "coverage/profiles";
/// Has every process of a program count in the same file from its start (LLVM's continuous mode), so that what is killed counts too.
const PATTERN: &str = "%c%m.profraw";
/// Counts everything. Without the second, Linux has no continuous mode.
const COUNTERS: &str = "-C instrument-coverage -C llvm-args=-runtime-counter-relocation";

/// How much is run and shown.
#[derive(Debug, Args)]
pub struct Options {
    /// Seconds for each target of the fuzzer.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How many of the least covered files are shown, with the lines that nothing executes.
    #[arg(long, default_value_t = 10)]
    files: usize,
}

/// A program that cargo has compiled.
struct Program {
    path: PathBuf,
    /// The name of its crate's directory.
    package: PathBuf,
    is_test: bool,
}

/// Compiles, runs and counts; less than what has to be executed is a failure.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let llvm = Llvm::bring(&lab)?;
    let profiles = lab.path(PROFILES)?;
    remove(&profiles)?;
    say("compiling the tests, with counters");
    let programs = compile(&lab)?;
    let tests: Vec<&Program> = programs
        .iter()
        .filter(|program| program.is_test && CRATES.iter().any(|name| program.package.ends_with(name)))
        .collect();
    for program in &tests {
        say(&format!("running {}", program.path.display()));
        run_command(counting(&lab, &program.path)?.arg("--quiet").current_dir(&program.package))?;
    }
    let program = |name: &str| {
        let found = programs.iter().find(|program| !program.is_test && program.path.ends_with(name));
        found.with_context(|| format!("cargo built no {name}"))
    };
    let (xtask, loopbox) = (program("xtask")?, program("loopbox")?);
    run_command(counting(&lab, &xtask.path)?.args(["fuzz", "--seconds", &options.seconds.to_string()]))?;
    let cases = machine::run(&lab, &loopbox.path, &profiles)?;
    let programs = tests.iter().copied().chain([xtask, loopbox]);
    let objects: Vec<&Path> = programs.map(|program| program.path.as_path()).collect();
    let all = covered(&lab, &llvm, &profiles, &objects)?;
    let is_enough = report(&lab, &all, options.files)?;
    Ok(if is_enough && cases.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// cargo with counters in all that it compiles, apart from what it compiles otherwise.
fn cargo(lab: &Lab, arguments: &[&str]) -> Result<Command> {
    let mut cargo = command("cargo", arguments);
    cargo
        .current_dir(lab.checkout())
        .env("CARGO_TARGET_DIR", lab.directory("coverage/target")?)
        .env("RUSTFLAGS", COUNTERS)
        // What is compiled to run while compiling counts too; nobody asks for that.
        .env("LLVM_PROFILE_FILE", "/dev/null")
        .env("CARGO_INCREMENTAL", "0");
    Ok(cargo)
}

fn compile(lab: &Lab) -> Result<Vec<Program>> {
    let words = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-run"];
    run_command(&mut cargo(lab, &words)?)?;
    // Everything is fresh now: this only asks where the programs are.
    let messages = text(cargo(lab, &words)?.args(["--message-format", "json"]))?;
    let program = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?.into();
        let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        Some(Program { path, package, is_test: message["profile"]["test"].as_bool()? })
    };
    Ok(messages.lines().filter_map(program).collect())
}

/// A program that writes what it counts to the directory of profiles.
fn counting(lab: &Lab, program: &Path) -> Result<Command> {
    let mut counting = Command::new(program);
    counting.stdin(Stdio::null()).env("LLVM_PROFILE_FILE", lab.directory(PROFILES)?.join(PATTERN));
    Ok(counting)
}

/// The lines of each file of the parts, with how often each was executed.
fn covered(lab: &Lab, llvm: &Llvm, profiles: &Path, objects: &[&Path]) -> Result<BTreeMap<PathBuf, Lines>> {
    let merged = lab.path("coverage/all.profdata")?;
    let mut raw = Vec::new();
    for entry in fs::read_dir(profiles).context("nothing was counted")? {
        raw.push(entry?.path());
    }
    run_command(llvm.program("llvm-profdata").args(["merge", "--sparse", "-o"]).arg(&merged).args(&raw))?;
    let mut export = llvm.program("llvm-cov");
    export.args(["export", "--format=lcov", "--skip-functions", "--instr-profile"]).arg(&merged);
    for object in objects {
        export.arg("--object").arg(object);
    }
    // It warns of functions that differ between programs, of which each has its own count.
    let mut all = BTreeMap::new();
    for (path, lines) in Lines::parse(&text(&mut export)?)? {
        let Ok(relative) = path.strip_prefix(lab.checkout()) else { continue };
        let is_counted = PARTS.iter().any(|(part, _)| relative.to_string_lossy().starts_with(part));
        if is_counted && !is_for_tests(&path) {
            let source =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            all.insert(relative.to_owned(), lines.without_tests(&source));
        }
    }
    Ok(all)
}

/// Whether the module in a file is compiled for tests alone, as the file of the module above it says.
fn is_for_tests(path: &Path) -> bool {
    let (Some(directory), Some(name)) = (path.parent(), path.file_stem()) else { return false };
    [directory.with_extension("rs"), directory.join("lib.rs")]
        .iter()
        .filter_map(|above| fs::read_to_string(above).ok())
        .any(|source| lines::is_for_tests(&source, &name.to_string_lossy()))
}

/// Prints the parts and their least covered files; false if a part has too little.
fn report(lab: &Lab, all: &BTreeMap<PathBuf, Lines>, files: usize) -> Result<bool> {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["", "lines", "executed", "%", "at least"]);
    let mut is_enough = true;
    for (part, least) in PARTS {
        let is_here = |path: &Path| path.to_string_lossy().starts_with(part);
        let here = || all.iter().filter(|(path, _)| is_here(path)).map(|(_, lines)| lines);
        let (executed, count) = (here().map(Lines::executed).sum::<usize>(), here().map(Lines::count).sum());
        ensure!(count > 0, "nothing is known of {part}");
        let percent = percent(executed, count);
        is_enough &= percent >= least;
        let numbers = [count.to_string(), executed.to_string(), format!("{percent:.2}"), least.to_string()];
        table.add_row([part.to_owned()].into_iter().chain(numbers));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}\n");
    let mut worst: Vec<(&PathBuf, &Lines)> = all.iter().filter(|(_, lines)| lines.count() > 0).collect();
    worst.sort_by(|(_, one), (_, other)| one.share().total_cmp(&other.share()));
    for (path, lines) in worst.iter().take(files) {
        println!("{:6.2} %  {}: {}", 100.0 * lines.share(), path.display(), lines.missing());
    }
    let detail = lab.path("coverage/missing")?;
    let missing: Vec<String> = all
        .iter()
        .filter(|(_, lines)| lines.executed() < lines.count())
        .map(|(path, lines)| format!("{}: {}\n", path.display(), lines.missing()))
        .collect();
    fs::write(&detail, missing.concat()).with_context(|| format!("cannot write {}", detail.display()))?;
    println!("\nall lines that nothing executes: {}", detail.display());
    Ok(is_enough)
}

fn percent(executed: usize, count: usize) -> f64 {
    100.0 * executed as f64 / count as f64
}
