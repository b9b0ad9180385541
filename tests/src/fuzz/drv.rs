//! Texts of derivations: the parser refuses or understands, and what it understood it can print and read again.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::{Context, Result, bail};
use builder::derivation::parse;

use super::Run;
use super::corpus::Texts;

/// Derivations of the builder's tests, which Nix wrote.
const SAMPLES: &str = "builder/tests/data";

/// Goes on until the time is over.
pub fn run(run: &mut Run) -> Result<()> {
    let seeds = seeds(run.lab.checkout())?;
    while let Some(input) = run.next(&seeds) {
        match catch_unwind(|| reads_back(&input)) {
            Ok(None | Some(true)) => {}
            Ok(Some(false)) => drop(run.keep(&input, "what was printed is not what was read")?),
            Err(_) => drop(run.keep(&input, "the parser panicked")?),
        }
    }
    Ok(())
}

/// Whether what was understood is the same when it is printed and read again; nothing for what was refused.
fn reads_back(input: &[u8]) -> Option<bool> {
    let derivation = parse(input).ok()?;
    let printed = derivation.print();
    Some(parse(&printed).is_ok_and(|again| again == derivation && again.print() == printed))
}

/// The corpus, once it is seen to be understood and refused as it should, and what Nix wrote.
fn seeds(checkout: &Path) -> Result<Vec<Vec<u8>>> {
    let texts = Texts::read(checkout, "drv")?;
    texts.check(reads_back)?;
    let mut seeds = samples(&checkout.join(SAMPLES))?;
    seeds.extend(texts.into_seeds());
    Ok(seeds)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Lab;

    #[test]
    fn the_corpus_is_understood_and_refused() {
        let lab = Lab::open().expect("the lab can be made");
        seeds(lab.checkout()).unwrap_or_else(|error| panic!("{error:#}"));
    }
}
