//! How set-up, teardown and memory grow with a closure: its files, and its store paths.
//!
//! All of it is measured in one machine, round by round, so that what disturbs one backend disturbs the others as much.

pub mod inside;
mod nix;
mod plot;
mod trees;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use serde::{Deserialize, Serialize};

use crate::lab::{Lab, say, store};
use crate::vm::{Output, Vm};

pub use plot::save;

/// The machine is killed after this.
const LIMIT: Duration = Duration::from_secs(2400);
/// In MiB: half a million files in memory, and links to them.
const MEMORY: u32 = 6144;

/// A closure: how many files it has, in how many store paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Files.
    pub files: u32,
    /// Store paths.
    pub paths: u32,
}

/// Closures with more and more files in ten store paths.
pub const BY_FILES: [Size; 6] = [
    Size { files: 10, paths: 10 },
    Size { files: 100, paths: 10 },
    Size { files: 1_000, paths: 10 },
    Size { files: 10_000, paths: 10 },
    Size { files: 100_000, paths: 10 },
    Size { files: 300_000, paths: 10 },
];

/// Closures with more and more store paths of ten files.
pub const BY_PATHS: [Size; 6] = [
    Size { files: 100, paths: 10 },
    Size { files: 500, paths: 50 },
    Size { files: 1_000, paths: 100 },
    Size { files: 5_000, paths: 500 },
    Size { files: 10_000, paths: 1_000 },
    Size { files: 50_000, paths: 5_000 },
];

/// The ways to show a closure to a build, in the order of the tables.
pub const WAYS: [&str; 4] = ["nfs", "hardlink", "bind", "Nix"];

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Which way.
    pub way: String,
    /// Of what.
    pub size: Size,
    /// Until the builder runs, in seconds.
    pub setup: f64,
    /// From the builder's end until nothing is left, in seconds; Nix's own cannot be told from what it does besides.
    pub teardown: Option<f64>,
    /// What the kernel and all processes hold more while it is set up, in KiB.
    pub memory: Option<i64>,
}

/// Measures in the machine.
pub fn run(lab: &Lab, rounds: usize) -> Result<Vec<Sample>> {
    say("how backends grow with the closure, in the virtual machine");
    let job = inside::Job { loopbox: lab.loopbox()?, configuration: store::configuration(lab)?, rounds };
    let program = lab.own_program()?;
    let words = [program.into(), "__bench-scaling".into(), serde_json::to_string(&job)?.into()];
    let vm = Vm { memory: MEMORY, timeout: LIMIT, ..Vm::default() };
    let finished = vm.run(lab, &words, Output::Results)?;
    if finished.status != 0 {
        bail!("the measurement in the machine failed: status {}", finished.status);
    }
    let text = String::from_utf8_lossy(&finished.stdout);
    text.lines().map(|line| serde_json::from_str(line).context("a sample is no sample")).collect()
}

/// The medians as tables, one for each of what was measured.
pub fn text(samples: &[Sample]) -> String {
    let mut text = String::new();
    for (title, sizes) in [("files, in ten store paths", BY_FILES), ("store paths of ten files", BY_PATHS)] {
        for (what, unit, value) in MEASURED {
            let mut table = Table::new();
            table.load_style(ASCII_MARKDOWN);
            table.set_header([title].into_iter().chain(WAYS));
            for size in sizes {
                let number = if sizes == BY_FILES { size.files } else { size.paths };
                let cells = WAYS.map(|way| match median(samples, way, size, value) {
                    Some(median) => format!("{median:.1}"),
                    None => "–".into(),
                });
                table.add_row([number.to_string()].into_iter().chain(cells));
            }
            text += &format!("\n{what}, {unit}:\n{table}\n");
        }
    }
    text
}

type Value = fn(&Sample) -> Option<f64>;

/// What is measured, in which unit.
const MEASURED: [(&str, &str, Value); 3] = [
    ("Set-up", "ms", |sample| Some(sample.setup * 1000.0)),
    ("Teardown", "ms", |sample| sample.teardown.map(|seconds| seconds * 1000.0)),
    ("Memory", "MiB", |sample| sample.memory.map(|kib| kib as f64 / 1024.0)),
];

/// What should hold, each with what was found. The first one that does not is an error.
pub fn check(samples: &[Sample]) -> Result<()> {
    let setup = |way, size| median(samples, way, size, MEASURED[0].2).context("a size was not measured");
    let ratio = setup("nfs", BY_FILES[5])? / setup("nfs", BY_FILES[0])?;
    println!("NFS at 300,000 files takes {ratio:.2} times what it takes at 10");
    let mut wrong = Vec::new();
    if ratio > 1.1 {
        wrong.push(format!("it grows with the files: {ratio:.2} times"));
    }
    for size in BY_FILES.into_iter().filter(|size| size.files >= 1_000) {
        if setup("nfs", size)? >= setup("hardlink", size)? {
            wrong.push(format!("it takes longer than hard links at {} files", size.files));
        }
    }
    for size in BY_PATHS.into_iter().filter(|size| size.paths >= 500) {
        for way in ["bind", "Nix"] {
            if setup("nfs", size)? >= setup(way, size)? {
                wrong.push(format!("it takes longer than {way} at {} store paths", size.paths));
            }
        }
    }
    if wrong.is_empty() { Ok(()) } else { bail!("NFS is not what it should be: {}", wrong.join("; ")) }
}

/// Every sample, and their medians' picture.
pub fn write(samples: &[Sample], json: Option<&Path>, svg: Option<&Path>) -> Result<()> {
    if let Some(file) = json {
        std::fs::write(file, serde_json::to_vec_pretty(samples)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    svg.map_or(Ok(()), |file| save(samples, file))
}

fn median(samples: &[Sample], way: &str, size: Size, value: Value) -> Option<f64> {
    let of = samples.iter().filter(|sample| sample.way == way && sample.size == size);
    let mut found: Vec<f64> = of.filter_map(value).collect();
    found.sort_by(f64::total_cmp);
    found.get(found.len() / 2).copied()
}

/// The medians of a way, by what grows.
fn medians(samples: &[Sample], way: &str, sizes: &[Size], value: Value) -> Vec<(Size, f64)> {
    let found: BTreeMap<Size, f64> =
        sizes.iter().filter_map(|size| Some((*size, median(samples, way, *size, value)?))).collect();
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(nfs_at_most: f64) -> Vec<Sample> {
        let mut samples = Vec::new();
        for size in BY_FILES.into_iter().chain(BY_PATHS) {
            for way in WAYS {
                let setup = match way {
                    "nfs" if size.files == 300_000 => nfs_at_most,
                    "nfs" => 1.0,
                    _ => f64::from(size.files + size.paths) / 100.0,
                };
                samples.push(Sample { way: way.into(), size, setup, teardown: None, memory: Some(1024) });
            }
        }
        samples
    }

    #[test]
    fn what_grows_is_told() {
        check(&samples(1.1)).unwrap();
        let error = check(&samples(1.2)).unwrap_err().to_string();
        assert_eq!(error, "NFS is not what it should be: it grows with the files: 1.20 times");
    }

    #[test]
    fn every_size_has_a_row_and_every_way_a_line() {
        let text = text(&samples(1.0));
        assert_eq!(text.matches("| 300000").count(), 3, "{text}");
        let directory = tempfile::tempdir().unwrap();
        save(&samples(1.0), &directory.path().join("x.svg")).unwrap();
        let svg = std::fs::read_to_string(directory.path().join("x.svg")).unwrap();
        assert!(WAYS.iter().all(|way| svg.contains(way)), "{svg}");
    }
}
