//! Packages of Debian suites that move: in the versions that are known to work (`tests/versions.toml`) while the archive
//! has them, and otherwise whatever works of what is there, which is said.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::apt::Suite;
use super::{Lab, remove, say};

/// What is known to work.
const RECORD: &str = include_str!("../../versions.toml");

/// What is taken from moving suites.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The virtual machine's kernel.
    Kernel,
    /// A Nix that knows `external-builders`.
    Nix,
}

/// What is wanted of one of the suites that are asked in turn.
#[derive(Debug, Deserialize)]
struct Source {
    suite: String,
    /// Names and the versions that are known to work; empty where none is.
    #[serde(default)]
    packages: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Record {
    kernel: Vec<Source>,
    nix: Vec<Source>,
}

/// Packages by name, and whether all that they need is wanted too.
pub struct Wanted<'a> {
    /// Names.
    pub names: &'a [&'a str],
    /// Whether what they depend on is unpacked too.
    pub with_dependencies: bool,
}

/// Unpacks what is wanted into `into`, from the first suite that has it. `prepare` makes it ready for use; `try_out`
/// fails when versions that nobody has recorded do not work, and then the next suite is asked.
pub fn unpack(
    lab: &Lab,
    purpose: Purpose,
    wanted: &Wanted<'_>,
    into: &Path,
    prepare: impl Fn(&Path) -> Result<()>,
    try_out: impl Fn(&Path) -> Result<()>,
) -> Result<()> {
    let attempt = |source: &Source| {
        remove(into)?;
        let suite = Suite::open(lab, &source.suite)?;
        let names: Vec<&str> = source.packages.keys().map(String::as_str).collect();
        let missing = missing(&source.packages, &suite.versions(&names)?);
        if !source.packages.is_empty() && missing.is_empty() {
            suite.unpack(&exactly(&source.packages), false, into)?;
            return prepare(into);
        }
        if !missing.is_empty() {
            say(&format!(
                "Debian {} has moved on from what tests/versions.toml records ({}); taking what it has now",
                source.suite,
                missing.join(", ")
            ));
        }
        suite.unpack(wanted.names, wanted.with_dependencies, into)?;
        prepare(into)?;
        try_out(into).context("what it has now does not work")
    };
    first_that_works(&record(purpose)?, attempt)
}

/// Asks suite after suite, and says why one was left.
fn first_that_works(sources: &[Source], attempt: impl Fn(&Source) -> Result<()>) -> Result<()> {
    for source in sources {
        match attempt(source) {
            Ok(()) => return Ok(()),
            Err(error) => say(&format!("nothing usable in Debian {}: {error:#}", source.suite)),
        }
    }
    let suites: Vec<&str> = sources.iter().map(|source| source.suite.as_str()).collect();
    bail!("none of the suites {} has what is needed", suites.join(", "))
}

fn record(purpose: Purpose) -> Result<Vec<Source>> {
    let record: Record = toml::from_str(RECORD).context("tests/versions.toml cannot be read")?;
    Ok(match purpose {
        Purpose::Kernel => record.kernel,
        Purpose::Nix => record.nix,
    })
}

/// What is recorded and not to be had, each with its version.
fn missing(recorded: &BTreeMap<String, String>, offered: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let is_offered =
        |name: &str, version: &String| offered.get(name).is_some_and(|versions| versions.contains(version));
    let gone = recorded.iter().filter(|(name, version)| !is_offered(name, version));
    gone.map(|(name, version)| format!("{name} {version}")).collect()
}

/// Names with versions, as apt takes them.
fn exactly(packages: &BTreeMap<String, String>) -> Vec<String> {
    packages.iter().map(|(name, version)| format!("{name}={version}")).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn packages(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|&(name, version)| (name.to_owned(), version.to_owned())).collect()
    }

    #[test]
    fn what_is_recorded_and_offered_is_not_missing() {
        let recorded = packages(&[("a", "1:2-3"), ("b", "1"), ("c", "5")]);
        let offered = BTreeMap::from([
            ("a".to_owned(), vec!["1:2-4".to_owned(), "1:2-3".to_owned()]),
            ("b".to_owned(), vec!["2".to_owned()]),
        ]);
        assert_eq!(missing(&recorded, &offered), ["b 1", "c 5"]);
        assert_eq!(exactly(&recorded), ["a=1:2-3", "b=1", "c=5"]);
    }

    #[test]
    fn suites_are_asked_in_turn_until_one_works() {
        let source = |suite: &str| Source { suite: suite.into(), packages: BTreeMap::new() };
        let sources = ["gone", "works", "never asked"].map(source);
        let asked = RefCell::new(Vec::new());
        let attempt = |source: &Source| {
            asked.borrow_mut().push(source.suite.clone());
            if source.suite == "works" { Ok(()) } else { bail!("no such suite") }
        };
        first_that_works(&sources, attempt).unwrap();
        assert_eq!(*asked.borrow(), ["gone", "works"]);
        let error = first_that_works(&sources[..1], |_| bail!("no such suite")).unwrap_err();
        assert_eq!(error.to_string(), "none of the suites gone has what is needed");
    }

    #[test]
    fn the_record_has_the_kernel_and_nix_and_a_second_choice_for_each() {
        for (purpose, package) in [(Purpose::Kernel, "user-mode-linux"), (Purpose::Nix, "nix-bin")] {
            let sources = record(purpose).unwrap();
            assert!(sources.len() > 1, "{purpose:?}");
            assert!(sources[0].packages.contains_key(package), "{purpose:?}");
        }
    }
}
