//! The inputs in `tests/corpus`, which every run begins with: texts that have to be understood, texts that have to be refused, and
//! calls with their replies.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::records::Record;

/// The directory, in the checkout.
const CORPUS: &str = "tests/corpus";

/// Texts of one kind.
pub struct Texts {
    accepted: Vec<(PathBuf, Vec<u8>)>,
    refused: Vec<(PathBuf, Vec<u8>)>,
}

/// A call with its reply.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What is strange about it.
    pub about: String,
    /// Program, version and procedure.
    call: (u32, u32, u32),
    arguments: Vec<Argument>,
    /// The words of the reply that follow its xid, or the first of them. Without any, the server ends the connection.
    #[serde(default)]
    pub reply: Vec<u32>,
}

/// A piece of a call's arguments.
#[derive(Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Argument {
    Word(u32),
    /// With its length before it and padding after it.
    Opaque(String),
    /// The handle of something in the world, by its path below the root.
    Handle {
        handle: String,
    },
    /// So many bytes with their length before them and padding after them.
    Long {
        long: usize,
    },
}

/// The file of calls.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exchanges {
    exchange: Vec<Exchange>,
}

impl Texts {
    /// The texts of a kind: `accepted/` and `refused/` in the directory of its name.
    pub fn read(checkout: &Path, kind: &str) -> Result<Texts> {
        let directory = checkout.join(CORPUS).join(kind);
        Ok(Texts {
            accepted: files(&directory.join("accepted"))?,
            refused: files(&directory.join("refused"))?,
        })
    }

    /// Sees that each is understood or refused as its directory says; `reads_back` gives nothing for what is refused, and false for
    /// what is another text once it is printed.
    pub fn check(&self, reads_back: impl Fn(&[u8]) -> Option<bool>) -> Result<()> {
        let misunderstood = self.accepted.iter().filter(|(_, text)| reads_back(text) != Some(true));
        let misunderstood = misunderstood.map(|(path, _)| format!("{} is not understood", path.display()));
        let unrefused = self.refused.iter().filter(|(_, text)| reads_back(text).is_some());
        let unrefused = unrefused.map(|(path, _)| format!("{} is not refused", path.display()));
        let wrong: Vec<String> = misunderstood.chain(unrefused).collect();
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    }

    /// All of them.
    pub fn into_seeds(self) -> Vec<Vec<u8>> {
        self.accepted.into_iter().chain(self.refused).map(|(_, text)| text).collect()
    }
}

impl Exchange {
    /// All calls.
    pub fn read_all(checkout: &Path) -> Result<Vec<Exchange>> {
        let path = checkout.join(CORPUS).join("rpc.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let all: Exchanges =
            toml::from_str(&text).with_context(|| format!("cannot understand {}", path.display()))?;
        Ok(all.exchange)
    }

    /// The call, as a record.
    pub fn record(&self, mut handle: impl FnMut(&str) -> Result<Vec<u8>>) -> Result<Vec<u8>> {
        let (program, version, procedure) = self.call;
        let mut record = Record::new([program, version], procedure);
        for argument in &self.arguments {
            record = match argument {
                Argument::Word(word) => record.words(&[*word]),
                Argument::Opaque(bytes) => record.opaque(bytes.as_bytes()),
                Argument::Handle { handle: path } => record.opaque(&handle(path)?),
                Argument::Long { long } => record.opaque(&vec![b'x'; *long]),
            };
        }
        Ok(record.done())
    }
}

/// The files of a directory, by name: their order decides which input a seed leads to.
fn files(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let cannot_list = || format!("cannot list {}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(cannot_list)? {
        let path = entry.with_context(cannot_list)?.path();
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push((path, text));
    }
    files.sort();
    ensure!(!files.is_empty(), "{} holds nothing", directory.display());
    Ok(files)
}
