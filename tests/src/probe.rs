//! The probe: a builder that prints all it can see, run in Nix's own sandbox and in loopbox's, and what differs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::lab::new_nix::NewNix;
use crate::lab::{Lab, remove};
use crate::vm::{Disk, Output, Vm};

pub mod known;
mod store;

/// Kinds of builds, as attributes of `tests/probe/probe.nix`.
const KINDS: [&str; 4] = ["plain", "fixed", "structured", "files"];
/// Sixteen builds take half a minute here.
const LIMIT: Duration = Duration::from_secs(300);
/// In MiB; shared memory is a part of it.
const MEMORY: u32 = 4096;

/// A way of loopbox to build, and Nix's own way with the same settings.
pub struct Pair {
    /// Nix's.
    pub nix: &'static str,
    /// loopbox's.
    pub here: &'static str,
}

/// `loopbox build` is compared with Nix as it is usually set up. With `external-builders`, builds run as root.
pub const PAIRS: [Pair; 2] =
    [Pair { nix: "nix", here: "loopbox" }, Pair { nix: "nix-root", here: "external" }];

/// A fact that is not the same.
pub struct Difference<'a> {
    /// loopbox's way of building.
    pub way: &'a str,
    /// The kind of build.
    pub kind: &'a str,
    /// Topic and key.
    pub fact: &'a str,
    /// What it is in Nix's sandbox; nothing when it is not there.
    pub nix: Option<&'a str>,
    /// What it is here.
    pub here: Option<&'a str>,
}

/// What every build printed.
pub struct Dumps(BTreeMap<(&'static str, &'static str), Facts>);

/// Values by topic and key.
type Facts = BTreeMap<String, String>;

impl Dumps {
    /// Builds everything in one machine.
    pub fn make(lab: &Lab) -> Result<Dumps> {
        let results = lab.kept("probe")?;
        remove(&results)?;
        let results = lab.kept("probe")?;
        let loopbox = lab.loopbox()?;
        let prepared = store::prepare(lab)?;
        let nix = NewNix::bring(lab)?;
        let files = lab.checkout().join("tests/probe");
        let mut words = nix.enter(lab, loopbox.parent())?;
        words.extend(["sh".into(), files.join("ways.sh").into()]);
        words.extend([results.clone().into(), loopbox.into(), files.join("probe.nix").into()]);
        words.extend(prepared.paths.iter().map(OsString::from));
        words.extend(KINDS.map(OsString::from));
        let disk = Disk { image: prepared.image, at: "/nix".into(), keep: false };
        let machine = Vm { memory: MEMORY, disks: vec![disk], timeout: LIMIT, ..Vm::default() };
        let finished = machine.run(lab, &words, Output::Capture)?;
        if finished.status != 0 {
            bail!("the probes were not built: {}", String::from_utf8_lossy(&finished.stderr));
        }
        let mut dumps = BTreeMap::new();
        for way in PAIRS.iter().flat_map(|pair| [pair.nix, pair.here]) {
            for kind in KINDS {
                dumps.insert((way, kind), read(&results.join(format!("{way}.{kind}")))?);
            }
        }
        Ok(Dumps(dumps))
    }

    /// The kinds of builds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        KINDS.into_iter()
    }

    /// How many facts a kind of build has shown.
    pub fn facts(&self, pair: &Pair, kind: &'static str) -> Result<usize> {
        Ok(self.of(pair.nix, kind)?.len())
    }

    /// What a kind of build is shown differently.
    pub fn differences<'a>(&'a self, pair: &'a Pair, kind: &'static str) -> Result<Vec<Difference<'a>>> {
        let (nix, here) = (self.of(pair.nix, kind)?, self.of(pair.here, kind)?);
        let added = here.keys().filter(|fact| !nix.contains_key(*fact));
        let compare = |fact: &'a String| {
            let (nix, here) = (nix.get(fact).map(String::as_str), here.get(fact).map(String::as_str));
            (nix != here).then_some(Difference { way: pair.here, kind, fact, nix, here })
        };
        Ok(nix.keys().chain(added).filter_map(compare).collect())
    }

    fn of(&self, way: &'static str, kind: &'static str) -> Result<&Facts> {
        self.0.get(&(way, kind)).with_context(|| format!("{kind} was not built by {way}"))
    }
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [nix, here] = [self.nix, self.here].map(|value| value.unwrap_or("not there"));
        write!(formatter, "{} {}: {}: {nix} / {here}", self.way, self.kind, self.fact)
    }
}

fn read(path: &PathBuf) -> Result<Facts> {
    /// Fewer would mean that the probe has not seen much.
    const LEAST: usize = 1000;
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let fact = |line: &str| {
        let (fact, value) = line.rsplit_once('\t')?;
        Some((fact.replace('\t', " "), value.to_owned()))
    };
    let facts: Facts = text.lines().filter_map(fact).collect();
    if facts.len() < LEAST {
        bail!("{} holds only {} facts", path.display(), facts.len());
    }
    Ok(facts)
}
