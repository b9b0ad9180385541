//! `cargo xtask demo`: builds the demonstration's graph with loopbox, in the virtual machine, through NFS mounts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Deserialize;

use super::setup;
use crate::demo::{Workload, ways};
use crate::lab::{Lab, say, store};
use crate::vm::Output;

/// What `loopbox build --json` prints.
#[derive(Debug, Deserialize)]
struct Report {
    derivations: Vec<Derivation>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Derivation {
    drv_path: String,
    status: String,
    #[serde(default)]
    outputs: BTreeMap<String, BuiltPath>,
    #[serde(default)]
    files_visible: Option<u64>,
    #[serde(default)]
    nfs_calls: BTreeMap<String, u64>,
    #[serde(default)]
    seconds: Seconds,
}

#[derive(Debug, Default, Deserialize)]
struct Seconds {
    build: f64,
}

#[derive(Debug, Deserialize)]
struct BuiltPath {
    path: String,
}

/// What to do with the graph.
#[derive(Debug, Args)]
pub struct Options {
    /// Check what the outputs depend on besides their inputs, too: nothing, or it fails
    #[arg(long)]
    check: bool,
    /// Have two machines build it for a third one as well, which loses one of them meanwhile
    #[arg(long)]
    machines: bool,
    /// Build it in farms of hard links as well, in which nothing is mounted
    #[arg(long)]
    links: bool,
}

/// Prepares, builds and reports.
pub fn run(options: &Options) -> Result<()> {
    let start = Instant::now();
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    say("building loopbox");
    let loopbox = lab.loopbox()?;
    let workload = Workload::prepare(&lab)?;
    let count = workload.attributes()?.len();
    say(&format!(
        "the toolchain (busybox, Zig's clang, musl) and the sources of {count} derivations are in a store"
    ));
    say("building them in a virtual machine, each in an NFS mount of its own");

    let configuration = format!("NIX_CONF_DIR={}", store::configuration(&lab)?.display());
    let words = |words: &[&str]| -> Vec<OsString> {
        let before = ["env".into(), configuration.clone().into(), loopbox.clone().into()];
        let words = words.iter().map(OsString::from);
        before.into_iter().chain(words).chain([workload.graph.clone().into()]).collect()
    };
    let build = words(&["build", "--json", "--no-out-link"]);
    let finished = ways::machine(&workload).run(&lab, &build, Output::Results)?;
    let report: Report = serde_json::from_slice(&finished.stdout).context("loopbox printed no report")?;
    print(&report);
    if finished.status != 0 {
        bail!("loopbox build ended with status {}", finished.status);
    }
    let built = report.derivations.iter().filter(|derivation| derivation.status == "built").count();
    if built != count {
        bail!("{built} derivations were built, not {count}");
    }
    if options.check {
        let finished = ways::machine(&workload).run(&lab, &words(&["check"]), Output::Show)?;
        if finished.status != 0 {
            bail!("loopbox check ended with status {}", finished.status);
        }
    }
    if options.machines {
        say("building them with Nix's own sandbox, and by two machines for a third one");
        let expected = ways::nix(&workload)?;
        let found = ways::two_machines(&lab, &workload)?;
        if found != expected {
            bail!("the outputs are not Nix's own:\n{expected:#?}\n{found:#?}");
        }
        println!("{} outputs of two machines, of which one was lost, are Nix's own", found.len());
    }
    if options.links {
        say("building them with Nix's own sandbox, and in farms of hard links without a mount");
        let expected = ways::nix(&workload)?;
        let found = ways::loopbox(&lab, &workload, "hardlink --scratch farm")?;
        if found != expected {
            bail!("the outputs are not Nix's own:\n{expected:#?}\n{found:#?}");
        }
        println!("{} outputs of farms of hard links are Nix's own", found.len());
    }
    println!("{built} derivations built through NFS mounts, {} s in all", start.elapsed().as_secs());
    Ok(())
}

fn print(report: &Report) {
    println!("{:<12} {:>13} {:>10} {:>8}  output", "derivation", "files visible", "NFS calls", "seconds");
    for derivation in &report.derivations {
        let calls: u64 = derivation.nfs_calls.values().sum();
        let outputs: Vec<&str> = derivation.outputs.values().map(|output| output.path.as_str()).collect();
        println!(
            "{:<12} {:>13} {:>10} {:>8.1}  {}",
            name(&derivation.drv_path),
            derivation.files_visible.unwrap_or(0),
            calls,
            derivation.seconds.build,
            outputs.first().copied().unwrap_or(&derivation.status),
        );
        for output in outputs.iter().skip(1) {
            println!("{:<47}{output}", "");
        }
    }
}

/// `zlib` of `/nix/store/…-zlib.drv`.
fn name(drv_path: &str) -> &str {
    let file = drv_path.rsplit('/').next().unwrap_or(drv_path).trim_end_matches(".drv");
    file.split_once('-').map_or(file, |(_, name)| name)
}
