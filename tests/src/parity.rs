//! The table of derivations in tests/parity, which Nix's own sandbox and loopbox have to build, or refuse, alike.
//!
//! Each side runs the whole table in a machine of its own, with the same Nix and an equal store, and reports what came
//! of each row; the reports are compared outside.

pub mod report;
pub mod side;
pub mod verdict;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::command::{command, text};

/// The rows by name; tests/parity/table.nix says what the fields mean.
pub type Table = BTreeMap<String, Row>;

/// One derivation, how it is built, and what has to come of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What it tests.
    pub about: String,
    /// The derivation's path.
    pub drv: String,
    /// Its outputs' paths by name.
    pub outputs: BTreeMap<String, String>,
    /// Settings of its own.
    pub conf: String,
    /// Commands, one after the other.
    pub steps: Vec<Step>,
    /// A script whose output has to be the same.
    pub look: String,
}

/// One command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// A script that runs first.
    pub before: String,
    /// Words for the command line.
    pub words: Vec<String>,
    /// The exit status.
    pub exits: i32,
    /// Texts that are written to standard error.
    pub says: Vec<String>,
}

/// Rows that differ, each with the reason, which docs/nix.md gives too.
pub type Exceptions = BTreeMap<String, String>;

impl Row {
    /// Whether it can be built by the same command as others of its kind.
    pub fn is_plain(&self) -> bool {
        let plain = |step: &Step| step.before.is_empty() && step.words.is_empty() && step.exits == 0;
        self.conf.is_empty() && self.steps.len() == 1 && self.steps.iter().all(plain)
    }
}

/// Makes the derivations of the table and reads its rows, those whose name contains `filter`.
pub fn read(graph: &Path, filter: Option<&str>) -> Result<Table> {
    let file = file("table.nix");
    let mut evaluate =
        command("nix-instantiate", ["--quiet", "--eval", "--strict", "--json", "--read-write-mode"]);
    evaluate.arg(file).args(["--arg", "graph"]).arg(graph);
    let mut table: Table =
        serde_json::from_str(&text(&mut evaluate)?).context("the table has other fields")?;
    table.retain(|name, _| filter.is_none_or(|part| name.contains(part)));
    Ok(table)
}

/// The exceptions.
pub fn exceptions() -> Result<Exceptions> {
    let list = fs::read(file("exceptions.json")).context("there is no list of exceptions")?;
    serde_json::from_slice(&list).context("the list of exceptions has to name rows and reasons")
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("parity").join(name)
}
