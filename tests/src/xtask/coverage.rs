//! `cargo xtask coverage`: how many lines of the server the tests on the host and the fuzzers execute; and of what they execute but
//! in part, since it needs a kernel's client: how many.

mod lines;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use self::lines::Lines;
use crate::command::{command, run as run_command, text};
use crate::lab::llvm::Llvm;
use crate::lab::{Lab, remove, say};

/// What is counted: how the paths of its files begin, and how much of it has to be executed, in percent. Where nothing has to be,
/// most is tested in the virtual machine, of which nothing is counted.
const PARTS: [(&str, Option<f64>); 3] =
    [("nfs-server/src/", Some(90.0)), ("sandbox/src/", None), ("builder/src/output", None)];
/// Crates whose tests are run.
const CRATES: [&str; 3] = ["nfs-server", "sandbox", "builder"];
/// The directory that profiles are written to; in `LLVM_PROFILE_FILE`, `%4m` is one of four files for each program.
const PROFILES: &str = "coverage/profiles";

/// How much is run and shown. Of the files, only those of parts of which something has to be executed.
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
    let xtask = programs.iter().find(|program| !program.is_test && program.path.ends_with("xtask"));
    let xtask = xtask.context("cargo built no xtask")?;
    run_command(counting(&lab, &xtask.path)?.args(["fuzz", "--seconds", &options.seconds.to_string()]))?;
    let objects: Vec<&Path> = tests.iter().chain([&xtask]).map(|program| program.path.as_path()).collect();
    let all = covered(&lab, &llvm, &profiles, &objects)?;
    Ok(if report(&lab, &all, options.files)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// cargo with counters in all that it compiles, apart from what it compiles otherwise.
fn cargo(lab: &Lab, arguments: &[&str]) -> Result<Command> {
    let mut cargo = command("cargo", arguments);
    cargo
        .current_dir(lab.checkout())
        .env("CARGO_TARGET_DIR", lab.directory("coverage/target")?)
        .env("RUSTFLAGS", "-C instrument-coverage")
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
    counting.stdin(Stdio::null()).env("LLVM_PROFILE_FILE", lab.directory(PROFILES)?.join("%4m.profraw"));
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
        if PARTS.iter().any(|(part, _)| relative.to_string_lossy().starts_with(part)) {
            let source =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            all.insert(relative.to_owned(), lines.without_tests(&source));
        }
    }
    Ok(all)
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
        is_enough &= least.is_none_or(|least| percent >= least);
        let least = least.map(|least| least.to_string()).unwrap_or_default();
        let numbers = [count.to_string(), executed.to_string(), format!("{percent:.2}"), least];
        table.add_row([part.to_owned()].into_iter().chain(numbers));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}\n");
    let counts = |path: &Path| {
        let of =
            |(part, least): &(&str, Option<f64>)| least.is_some() && path.to_string_lossy().starts_with(part);
        PARTS.iter().any(of)
    };
    let mut worst: Vec<(&PathBuf, &Lines)> =
        all.iter().filter(|(path, lines)| counts(path) && lines.count() > 0).collect();
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
