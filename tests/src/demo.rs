//! The demonstration's workload: a toolchain, sources and a graph, in a store that a virtual machine can mount.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use walkdir::WalkDir;

use crate::command::{command, quiet, text};
use crate::lab::Lab;
use crate::lab::store::Store;

pub mod inputs;
pub mod ways;

/// Room for the toolchain, the sources and everything that is built, in MiB; the file is sparse.
const IMAGE_SIZE: u32 = 3000;
/// Changed when what is made from the same files changes.
const RECIPE: &str = "1";

/// Outputs that differ from build to build, each with the reason: none of the graph's does.
pub const NOT_DETERMINISTIC: [(&str, &str); 0] = [];

/// What was prepared.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The Nix file of the graph, with its `inputs.json` beside it.
    pub graph: PathBuf,
    /// An ext4 image of /nix with the inputs and nothing built.
    pub image: PathBuf,
    /// The same store on the host, where the reference is built.
    pub store: Store,
}

impl Workload {
    /// Brings and makes everything, once for a given state of tests/demo.
    pub fn prepare(lab: &Lab) -> Result<Workload> {
        let files = lab.checkout().join("tests/demo");
        let name = format!("demo/{}", key(&files)?);
        let made = lab.once(&name, "preparing the demonstration's store", |at| make(lab, &files, at))?;
        Ok(Workload {
            graph: made.join("graph/graph.nix"),
            image: made.join("nix.ext4"),
            store: Store::open(lab, &made.join("nix"))?,
        })
    }

    /// The names of the graph's derivations, as attributes of the Nix file.
    pub fn attributes(&self) -> Result<Vec<String>> {
        let expression = format!("builtins.attrNames (import {} {{ }})", self.graph.display());
        let names = text(
            &mut self.store.command("nix-instantiate", ["--eval", "--json", "--strict", "-E", &expression]),
        )?;
        serde_json::from_str(&names).context("nix-instantiate printed no list of names")
    }
}

fn make(lab: &Lab, files: &Path, at: &Path) -> Result<()> {
    let store = Store::open(lab, &at.join("nix"))?;
    let graph = at.join("graph");
    quiet(command("cp", ["-r"]).arg(files).arg(&graph))?;
    let inputs = inputs::add(lab, &store)?;
    fs::write(graph.join("inputs.json"), serde_json::to_vec_pretty(&inputs)?)?;
    quiet(store.command("nix-instantiate", ["--quiet"]).arg(graph.join("graph.nix")))?;
    let image = at.join("nix.ext4");
    quiet(
        command("mkfs.ext4", ["-q", "-m", "0", "-O", "^has_journal", "-d"])
            .arg(at.join("nix"))
            .arg(&image)
            .arg(format!("{IMAGE_SIZE}M")),
    )
}

/// A name for the state of the workload's files.
fn key(files: &Path) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    for entry in WalkDir::new(files).sort_by_file_name() {
        let entry = entry?;
        hash.update(entry.path().strip_prefix(files)?.as_os_str().as_encoded_bytes());
        if entry.file_type().is_file() {
            hash.update(fs::read(entry.path())?);
        }
    }
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}
