//! Texts of derivations: the parser refuses or understands, and what it understood it can print and read again.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use builder::derivation::parse;

use super::Run;

/// Derivations of the builder's tests, which Nix wrote.
const SAMPLES: &str = "builder/tests/data";

/// Goes on until the time is over.
pub fn run(run: &mut Run) -> Result<()> {
    let seeds = samples(&run.lab.checkout().join(SAMPLES))?;
    while let Some(input) = run.next(&seeds) {
        match catch_unwind(|| reads_back(&input)) {
            Ok(true) => {}
            Ok(false) => drop(run.keep(&input, "what was printed is not what was read")?),
            Err(_) => drop(run.keep(&input, "the parser panicked")?),
        }
    }
    Ok(())
}

fn reads_back(input: &[u8]) -> bool {
    let Ok(derivation) = parse(input) else { return true };
    let printed = derivation.print();
    parse(&printed).is_ok_and(|again| again == derivation && again.print() == printed)
}

fn samples(directory: &Path) -> Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    // The order decides which input a seed leads to.
    paths.sort();
    let texts: Vec<Vec<u8>> = paths
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "drv"))
        .map(fs::read)
        .collect::<Result<_, _>>()?;
    if texts.is_empty() {
        bail!("{} holds no derivation", directory.display());
    }
    Ok(texts)
}
