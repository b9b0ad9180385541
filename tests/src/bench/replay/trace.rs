//! The calls of a session, with paths in place of handles: every server makes handles of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The calls of a session in the order in which they were made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// Every path that a handle stood for; the first is the root.
    pub paths: Vec<Named>,
    /// The calls.
    pub calls: Vec<Call>,
}

/// A path, as a name in a directory that is another path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Named {
    /// The directory's number; of the root its own.
    pub directory: usize,
    /// The name; of the root none.
    pub name: String,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// How many of the calls before it had been answered when it was made.
    pub answered: usize,
    /// The procedure's number.
    pub procedure: u32,
    /// What the call's first handle stood for.
    pub object: usize,
    /// The encoded arguments behind that handle, up to the next handle or to data.
    pub rest: Vec<u8>,
    /// A second handle, and what is encoded behind it.
    pub second: Option<(usize, Vec<u8>)>,
    /// How many bytes of data end the call; which ones is of no interest.
    pub data: usize,
    /// The status that was answered.
    pub status: u32,
}

impl Trace {
    /// Reads what `save` wrote.
    pub fn load(file: &Path) -> Result<Trace> {
        let text = fs::read(file).with_context(|| format!("no recorded calls in {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} holds no calls", file.display()))
    }

    /// A path in full.
    pub fn path(&self, number: usize) -> String {
        match self.paths.get(number) {
            Some(named) if number > 0 => format!("{}/{}", self.path(named.directory), named.name),
            _ => String::new(),
        }
    }

    /// Writes it.
    pub fn save(&self, file: &Path) -> Result<()> {
        fs::write(file, serde_json::to_vec(self)?).with_context(|| format!("cannot write {}", file.display()))
    }
}
