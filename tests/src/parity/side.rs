//! One side of the comparison: builds the whole table inside a machine, and reports what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use super::report::{Came, Ended, Report};
use super::{Row, Step, Table, read};
use crate::command::{command, text};

/// What a script of a row calls a file of its own.
const SAID: &str = "/tmp/said";

/// What `impureEnvVars` can ask for.
const FROM_THE_CALLER: (&str, &str) = ("PARITY", "from the caller");

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Builder {
    /// Nix, in its own sandbox.
    Nix,
    /// loopbox.
    Loopbox,
}

/// The table, and who builds it.
#[derive(Debug, Args)]
pub struct Options {
    /// Who builds.
    by: Builder,
    /// The demonstration's directory, which names the shell.
    graph: PathBuf,
    /// The program `loopbox`.
    loopbox: PathBuf,
    /// Only rows whose name contains this.
    #[arg(long)]
    filter: Option<String>,
}

/// Builds it, and prints the report.
pub fn main(options: &Options) -> Result<ExitCode> {
    if std::env::var_os("LOOPBOX_VM").is_none() {
        bail!("the table is built inside the virtual machine only: cargo xtask parity");
    }
    let table = read(&options.graph, options.filter.as_deref())?;
    let mut report = Report { plain: options.plain(&table)?, ..Report::default() };
    for (name, row) in &table {
        let steps = if row.is_plain() { Vec::new() } else { options.steps(row)? };
        report.rows.insert(name.clone(), Came { steps, ..Came::default() });
    }
    describe(&table, &mut report)?;
    for (name, row) in &table {
        report.rows.entry(name.clone()).or_default().look = look(row)?;
    }
    report.table = table;
    std::io::stdout().write_all(&serde_json::to_vec(&report)?)?;
    Ok(ExitCode::SUCCESS)
}

impl Options {
    fn command(&self) -> Command {
        from_here(match self.by {
            Builder::Nix => command("nix-build", ["--no-out-link"]),
            Builder::Loopbox => command(&self.loopbox, ["build", "--no-out-link"]),
        })
    }

    /// All rows that need no command of their own, by one.
    fn plain(&self, table: &Table) -> Result<Ended> {
        let mut plain = table.values().filter(|row| row.is_plain()).map(|row| &row.drv).peekable();
        if plain.peek().is_none() {
            return Ok(Ended { status: Some(0), said: String::new() });
        }
        let mut build = match self.by {
            // nix-build wants an output called `out` of everything.
            Builder::Nix => from_here(command("nix-store", ["--realise"])),
            Builder::Loopbox => self.command(),
        };
        run(build.arg("--keep-going").args(plain))
    }

    fn steps(&self, row: &Row) -> Result<Vec<Ended>> {
        row.steps.iter().map(|step| self.step(row, step)).collect()
    }

    fn step(&self, row: &Row, step: &Step) -> Result<Ended> {
        script(row, &step.before).status().context("a row's script cannot be started")?;
        let mut build = self.command();
        build.arg(&row.drv).args(&step.words).env("NIX_CONFIG", &row.conf);
        let ended = run(&mut build)?;
        // The last step's is there for the row's last script.
        fs::write(said(row), &ended.said)?;
        Ok(ended)
    }
}

fn from_here(mut command: Command) -> Command {
    let (name, value) = FROM_THE_CALLER;
    command.env(name, value).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn run(build: &mut Command) -> Result<Ended> {
    let ended = build.stderr(Stdio::piped()).output().context("the builder cannot be started")?;
    Ok(Ended { status: ended.status.code(), said: String::from_utf8_lossy(&ended.stderr).into_owned() })
}

/// What the store knows of the outputs, asked for all at once.
fn describe(table: &Table, report: &mut Report) -> Result<()> {
    let all: BTreeSet<&String> = table.values().flat_map(|row| row.outputs.values()).collect();
    let printed = text(command("nix-store", ["--check-validity", "--print-invalid"]).args(&all))?;
    let invalid: BTreeSet<&str> = printed.lines().collect();
    let valid: Vec<&&String> = all.iter().filter(|path| !invalid.contains(path.as_str())).collect();
    let mut known = BTreeMap::new();
    if !valid.is_empty() {
        let dumped = text(command("nix-store", ["--dump-db"]).args(valid))?;
        known = infos(&dumped)?;
    }
    for (name, row) in table {
        let found =
            row.outputs.iter().filter_map(|(output, path)| Some((output.clone(), known.get(path)?.clone())));
        report.rows.entry(name.clone()).or_default().outputs = found.collect();
    }
    Ok(())
}

/// What `nix-store --dump-db` prints: for each path itself, hash, size, deriver, number of references, references. The
/// deriver is left out.
fn infos(dumped: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let mut infos = BTreeMap::new();
    let mut lines = dumped.lines();
    while let Some(path) = lines.next() {
        let mut next = || lines.next().context("what the store knows breaks off");
        let mut info = vec![next()?.to_owned(), next()?.to_owned()];
        next()?;
        for _ in 0..next()?.parse().context("a number of references is none")? {
            info.push(next()?.to_owned());
        }
        infos.insert(path.to_owned(), info);
    }
    Ok(infos)
}

fn look(row: &Row) -> Result<String> {
    if row.look.is_empty() {
        return Ok(String::new());
    }
    let output =
        script(row, &row.look).stdout(Stdio::piped()).output().context("a row's script cannot be started")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A script of a row, with its names for the derivation and its outputs.
fn script(row: &Row, text: &str) -> Command {
    let mut shell = command("sh", ["-c", text]);
    shell.env("drv", &row.drv).env("said", said(row)).env("NIX_CONFIG", &row.conf).envs(&row.outputs);
    if let Some(first) = row.outputs.values().next() {
        shell.env("out", row.outputs.get("out").unwrap_or(first));
    }
    shell.stdin(Stdio::null()).stdout(Stdio::null());
    shell
}

/// The file of what the last step wrote.
fn said(row: &Row) -> PathBuf {
    Path::new(&format!("{SAID}-{}", row.drv.rsplit('/').next().unwrap_or_default())).to_owned()
}
